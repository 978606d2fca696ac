use millrace_api::ErrorKind;

use super::*;

fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn file(name: &str) -> String {
    format!("{}/golden/stores/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

fn tls(pairs: &[(&str, &str)]) -> Result<Tls> {
    Tls::from_props(&props(pairs))
}

/// What every way to give the client's certificate must come to.
fn expected() -> (Option<String>, Option<Password>) {
    (Some(text("chain.pem")), Some(Password::new(text("client.key"))))
}

#[test]
fn trust_stores_of_all_types_come_out_as_pem() {
    let ca = text("ca.pem");
    for given in [
        vec![("ssl.truststore.type", "PEM"), ("ssl.truststore.certificates", ca.as_str())],
        vec![("ssl.truststore.type", "pem"), ("ssl.truststore.location", &file("ca.pem"))],
        vec![("ssl.truststore.location", &file("trust.jks")), ("ssl.truststore.password", "storepass")],
        // Java reads a JKS without its password: it cannot check it then.
        vec![("ssl.truststore.location", &file("trust.jks"))],
        // Either type is read under the other's name.
        vec![
            ("ssl.truststore.type", "PKCS12"),
            ("ssl.truststore.location", &file("trust.jks")),
            ("ssl.truststore.password", "storepass"),
        ],
    ] {
        assert_eq!(tls(&given).unwrap().ca.as_deref(), Some(ca.as_str()), "{given:?}");
    }
    let given = [("ssl.truststore.location", file("trust.p12")), ("ssl.truststore.password", "storepass".to_owned())];
    let found = tls(&given.each_ref().map(|(key, value)| (*key, value.as_str()))).unwrap().ca.unwrap();
    assert!(found.contains(ca.trim()) && found.matches("BEGIN").count() == 2, "{found}");
    assert_eq!(tls(&[]).unwrap(), Tls::default());
}

#[test]
fn key_stores_of_all_types_come_out_as_pem() {
    let (chain, key, sealed) = (text("chain.pem"), text("client.key"), text("client.enc.key"));
    // As environments and property files deliver it.
    let flat = |pem: &str| pem.replace('\n', " ");
    let both = format!("{key}{chain}");
    let whole = tempfile(&both);
    for given in [
        vec![("ssl.keystore.type", "PEM"), ("ssl.keystore.certificate.chain", &*chain), ("ssl.keystore.key", &key)],
        vec![
            ("ssl.keystore.type", "PEM"),
            ("ssl.keystore.certificate.chain", &flat(&chain)),
            ("ssl.keystore.key", &flat(&sealed)),
            ("ssl.key.password", "keypass"),
        ],
        vec![("ssl.keystore.type", "PEM"), ("ssl.keystore.location", whole.to_str().unwrap())],
        vec![
            ("ssl.keystore.location", &file("key.jks")),
            ("ssl.keystore.password", "storepass"),
            ("ssl.key.password", "keypass"),
        ],
        vec![
            ("ssl.keystore.type", "PKCS12"),
            ("ssl.keystore.location", &file("keytool.p12")),
            ("ssl.keystore.password", "storepass"),
        ],
        vec![("ssl.keystore.location", &file("openssl.p12")), ("ssl.keystore.password", "storepass")],
    ] {
        let tls = tls(&given).unwrap_or_else(|error| panic!("{given:?}: {error}"));
        assert!((tls.certificate, tls.key) == expected(), "{given:?}");
    }
    std::fs::remove_file(whole).unwrap();
}

fn tempfile(text: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("millrace-tls-{}.pem", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn the_host_name_is_checked_unless_the_setting_is_empty() {
    const KEY: &str = "ssl.endpoint.identification.algorithm";
    for (value, expected) in
        [("https", Some(true)), ("HTTPS", Some(true)), ("", Some(false)), (" ", Some(false)), ("none", None)]
    {
        assert_eq!(tls(&[(KEY, value)]).ok().map(|tls| tls.verify_hostname), expected, "{value:?}");
    }
}

#[test]
fn what_is_wrong_is_named_with_key_and_fix() {
    let (ca, chain, key, sealed) = (text("ca.pem"), text("chain.pem"), text("client.key"), text("client.enc.key"));
    let (jks, p12, damaged) = (file("key.jks"), file("keytool.p12"), ca.replace("MII", "canary"));
    let pem = |kind: &str| if kind == "trust" { ("ssl.truststore.type", "PEM") } else { ("ssl.keystore.type", "PEM") };
    let inline = |key| vec![pem("key"), ("ssl.keystore.certificate.chain", chain.as_str()), ("ssl.keystore.key", key)];
    let with = |mut given: Vec<(&'static str, _)>, more| {
        given.push(more);
        given
    };
    for (given, key, words) in [
        (vec![("ssl.truststore.type", "BKS")], "ssl.truststore.type", "use PEM, PKCS12 or JKS"),
        (vec![("ssl.truststore.certificates", &*ca)], "ssl.truststore.type", "use PEM"),
        (
            vec![pem("trust"), ("ssl.truststore.certificates", "canary")],
            "ssl.truststore.certificates",
            "no certificate",
        ),
        (vec![pem("trust"), ("ssl.truststore.certificates", &*damaged)], "ssl.truststore.certificates", "damaged"),
        (
            vec![pem("trust"), ("ssl.truststore.certificates", &*ca), ("ssl.truststore.location", &*jks)],
            "ssl.truststore.location",
            "keep one of the two",
        ),
        (
            vec![pem("trust"), ("ssl.truststore.certificates", &*ca), ("ssl.truststore.password", "canary")],
            "ssl.truststore.password",
            "remove it",
        ),
        (vec![("ssl.truststore.password", "canary")], "ssl.truststore.password", "there is no ssl.truststore.location"),
        (vec![("ssl.truststore.location", "/nowhere/x.jks")], "ssl.truststore.location", "/nowhere/x.jks"),
        (vec![("ssl.truststore.location", "/dev/zero")], "ssl.truststore.location", "no file"),
        (vec![("ssl.truststore.location", &*jks)], "ssl.truststore.location", "holds no trusted certificate"),
        (
            vec![("ssl.truststore.location", &*jks), ("ssl.truststore.password", "canary")],
            "ssl.truststore.password",
            "does not open",
        ),
        (with(inline(&key), ("ssl.keystore.password", "canary")), "ssl.keystore.password", "use ssl.key.password"),
        (inline(&sealed), "ssl.key.password", "is encrypted"),
        (with(inline(&sealed), ("ssl.key.password", "canary")), "ssl.key.password", "does not open"),
        (inline(&ca), "ssl.keystore.key", "0 were found"),
        (
            vec![pem("key"), ("ssl.keystore.key", &*key)],
            "ssl.keystore.key",
            "ssl.keystore.certificate.chain is missing",
        ),
        (vec![pem("key"), ("ssl.keystore.certificate.chain", &*ca)], "ssl.keystore.certificate.chain", "missing"),
        (
            vec![pem("key"), ("ssl.keystore.certificate.chain", &*ca), ("ssl.keystore.key", &*key)],
            "ssl.keystore.key",
            "does not belong",
        ),
        (vec![("ssl.keystore.location", &*jks)], "ssl.keystore.password", "missing"),
        (
            vec![("ssl.keystore.location", &*p12), ("ssl.keystore.password", "canary")],
            "ssl.keystore.password",
            "does not open",
        ),
        (
            vec![("ssl.keystore.location", &*jks), ("ssl.keystore.password", "storepass")],
            "ssl.key.password",
            "does not open",
        ),
        (
            vec![("ssl.keystore.location", "/etc/hostname"), ("ssl.keystore.password", "canary")],
            "ssl.keystore.location",
            "neither",
        ),
    ] {
        let error = tls(&given).map(|tls| panic!("{given:?} gave {tls:?}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(key) && error.message().contains(words), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

/// A file cut anywhere, or changed anywhere, is refused or read, without a panic.
#[test]
fn damaged_stores_are_refused() {
    let whole = std::fs::read(file("key.jks")).unwrap();
    for end in 0..whole.len() {
        assert!(jks::Jks::parse(&whole[..end], "storepass").is_err());
        let _ = jks::Jks::parse(&whole[..end], "");
    }
    let entry = jks::Jks::parse(&whole, "storepass").unwrap().keys.remove(0);
    for at in 0..entry.protected.len() {
        let mut changed = entry.protected.clone();
        changed[at] ^= 0x81;
        let _ = jks::open(&changed, "keypass");
        let _ = jks::open(&changed[..at], "keypass");
    }
}

fn server_file(name: &str) -> String {
    format!("{}/golden/server/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Settings of a server, with its certificate and key.
fn server() -> Props {
    let read = |name| std::fs::read_to_string(server_file(name)).unwrap();
    let (cert, key) = (read("cert.pem"), read("key.pem"));
    props(&[("ssl.keystore.type", "PEM"), ("ssl.keystore.certificate.chain", &cert), ("ssl.keystore.key", &key)])
}

/// What a client with `client` settings says to a server with `server` settings, as the server hears it.
async fn heard(server: &Props, client: &Props, host: &str) -> std::result::Result<String, String> {
    let acceptor = Acceptor::from_props(server).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connector = Connector::new(&Tls::from_props(client).unwrap()).unwrap();
    let stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let listens = async {
        let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await?;
        let mut text = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text).await?;
        std::io::Result::Ok(text)
    };
    let asks = async {
        let mut stream = connector.connect(stream, host).await.map_err(|error| error.to_string())?;
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"hello").await.map_err(|error| error.to_string())?;
        tokio::io::AsyncWriteExt::shutdown(&mut stream).await.map_err(|error| error.to_string())
    };
    let (at_server, at_client) = tokio::join!(listens, asks);
    at_client?;
    at_server.map_err(|error| error.to_string())
}

#[tokio::test]
async fn only_a_trusted_server_that_names_the_host_is_talked_to() {
    let cert = server_file("cert.pem");
    let trusting = props(&[("ssl.truststore.type", "PEM"), ("ssl.truststore.location", &cert)]);
    assert_eq!(heard(&server(), &trusting, "localhost").await.unwrap(), "hello");
    assert_eq!(heard(&server(), &trusting, "127.0.0.1").await.unwrap(), "hello");
    let fault = heard(&server(), &trusting, "elsewhere").await.unwrap_err();
    assert!(fault.contains("not trusted: hostname mismatch"), "{fault}");
    let mut careless = trusting.clone();
    careless.insert("ssl.endpoint.identification.algorithm".to_owned(), String::new());
    assert_eq!(heard(&server(), &careless, "elsewhere").await.unwrap(), "hello");
    let stranger = props(&[("ssl.truststore.type", "PEM"), ("ssl.truststore.location", &file("ca.pem"))]);
    let fault = heard(&server(), &stranger, "localhost").await.unwrap_err();
    assert!(fault.contains("not trusted"), "{fault}");
}

#[tokio::test]
async fn a_server_that_requires_certificates_refuses_clients_without() {
    let cert = server_file("cert.pem");
    let trusting = props(&[("ssl.truststore.type", "PEM"), ("ssl.truststore.location", &cert)]);
    let known: Props = trusting
        .clone()
        .into_iter()
        .chain(props(&[
            ("ssl.keystore.type", "PKCS12"),
            ("ssl.keystore.location", &file("openssl.p12")),
            ("ssl.keystore.password", "storepass"),
        ]))
        .collect();
    let mut strict = server();
    strict.extend(props(&[("ssl.truststore.type", "PEM"), ("ssl.truststore.location", &file("ca.pem"))]));
    for (auth, without) in [("requested", true), ("REQUIRED", false), ("none", true)] {
        strict.insert("ssl.client.auth".to_owned(), auth.to_owned());
        assert_eq!(heard(&strict, &trusting, "localhost").await.is_ok(), without, "{auth}");
        assert_eq!(heard(&strict, &known, "localhost").await.unwrap(), "hello", "{auth}");
    }
}

#[test]
fn what_a_server_lacks_is_named() {
    let mut asking = server();
    asking.insert("ssl.client.auth".to_owned(), "required".to_owned());
    let mut odd = server();
    odd.insert("ssl.client.auth".to_owned(), "maybe".to_owned());
    for (given, key) in
        [(Props::new(), "ssl.keystore.location"), (asking, "ssl.truststore.location"), (odd, "ssl.client.auth")]
    {
        let error = Acceptor::from_props(&given).unwrap_err();
        assert!(error.message().contains(key), "{error}");
    }
}
