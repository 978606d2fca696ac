FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release -p millrace

FROM debian:bookworm-slim
COPY --from=build /src/target/release/millrace /usr/bin/millrace
EXPOSE 8083
ENTRYPOINT ["/usr/bin/millrace"]
