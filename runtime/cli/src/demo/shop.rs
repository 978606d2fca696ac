//! The worker of the demo: the files of `configs/shopstream/embedded`, with this machine's paths and ports.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use millrace_api::config::Props;
use millrace_api::{Error, Result};
use millrace_connector_jdbc::tools::Database;
use millrace_core::worker_config::Mode;

use crate::args::Demo;
use crate::settings::{parse_connector_json, process_environment};
use crate::worker::{self, Configured, Running};

const WORKER: &str = include_str!("../../../../configs/shopstream/embedded/worker.properties");
const TABLES: &str = include_str!("../../../../configs/shopstream/schema.sqlite.sql");
const CONNECTORS: [&str; 5] = [
    include_str!("../../../../configs/shopstream/embedded/orders-transactions.json"),
    include_str!("../../../../configs/shopstream/embedded/logs-file.json"),
    include_str!("../../../../configs/shopstream/embedded/hourly-orders.json"),
    include_str!("../../../../configs/shopstream/embedded/hourly-summary.json"),
    include_str!("../../../../configs/shopstream/embedded/orders-http.json"),
];

/// A running shop.
pub(super) struct Shop {
    running: Running,
    data: PathBuf,
    orders: u16,
    database: Database,
}

impl Shop {
    pub(super) async fn start(args: &Demo) -> Result<Self> {
        let data = prepare(&args.data)?;
        let (rest, orders) = match args.port {
            Some(port) => (port, port.checked_add(1).ok_or_else(|| Error::config("--port must be below 65535"))?),
            None => (free_port(8083)?, free_port(8084)?),
        };
        let database = Database::sqlite(&data.join("shopstream.db"));
        database.execute(TABLES).await?;
        let configured = Configured::new(Mode::Standalone, &worker_props(&data, rest)?, process_environment())?;
        let running = worker::start(configured).await?;
        let mut connectors = Vec::new();
        for text in CONNECTORS {
            let mut config = parse_connector_json(text.as_bytes())?;
            here(&mut config, &data, database.url(), orders);
            let name = config.get("name").cloned().unwrap_or_default();
            connectors.push((name, config));
        }
        let shop = Self { running, data, orders, database };
        shop.running.register(connectors).await?;
        Ok(shop)
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    pub(super) fn log(&self) -> &dyn millrace_api::log::Log {
        &*self.running.log
    }

    pub(super) fn orders_url(&self) -> String {
        format!("http://127.0.0.1:{}/api/orders", self.orders)
    }

    pub(super) fn rest_url(&self) -> String {
        format!("http://{}", self.running.rest.local_addr)
    }

    pub(super) async fn stop(self) {
        self.running.stop().await;
    }
}

fn prepare(data: &Path) -> Result<PathBuf> {
    let failed = |error| Error::config(format!("--data {} cannot be used", data.display())).because(error);
    std::fs::create_dir_all(data).map_err(failed)?;
    data.canonicalize().map_err(failed)
}

fn worker_props(data: &Path, port: u16) -> Result<Props> {
    let mut props = Props::new();
    java_properties::PropertiesIter::new(WORKER.as_bytes())
        .read_into(|key, value| {
            props.insert(key, value);
        })
        .map_err(|error| Error::internal("the demo's worker file cannot be read").because(error))?;
    props.insert("listeners".to_owned(), format!("http://127.0.0.1:{port}"));
    props.insert("data.dir".to_owned(), data.join("log").display().to_string());
    Ok(props)
}

/// Puts this machine's places into a connector of the scenario.
fn here(config: &mut Props, data: &Path, database: &str, orders: u16) {
    if let Some(url) = config.get_mut("connection.url") {
        database.clone_into(url);
    }
    if let Some(listen) = config.get_mut("http.listen") {
        *listen = format!("127.0.0.1:{orders}");
    }
    if let Some(file) = config.get_mut("file") {
        *file = data.join(&*file).display().to_string();
    }
}

/// The usual port when nobody has it, else any.
fn free_port(usual: u16) -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", usual)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)));
    let address = listener.and_then(|listener| listener.local_addr());
    address
        .map(|address| address.port())
        .map_err(|error| Error::external("no port is free on 127.0.0.1").because(error))
}
