//! `sasl.jaas.config`: one entry of a JAAS configuration, read as Kafka's `JaasConfig` reads it with Java's `StreamTokenizer`.
//!
//! In the JVM the class that is named there is loaded and run with the options (CVE-2023-25194). Here nothing is ever loaded: three
//! names are known, and everything else is refused.

use millrace_api::config::Password;
use millrace_api::error::{Error, Result};

use super::tokenizer::{Token, Tokenizer};

pub(super) const KEY: &str = "sasl.jaas.config";

/// The login modules that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Module {
    Plain,
    Scram,
    OAuthBearer,
}

const MODULES: [(&str, Module); 3] = [
    ("org.apache.kafka.common.security.plain.PlainLoginModule", Module::Plain),
    ("org.apache.kafka.common.security.scram.ScramLoginModule", Module::Scram),
    ("org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule", Module::OAuthBearer),
];
const FLAGS: [&str; 4] = ["required", "requisite", "sufficient", "optional"];

/// The one entry.
#[derive(Debug)]
pub(super) struct Jaas {
    pub(super) module: Module,
    options: Vec<(String, Password)>,
}

impl Jaas {
    /// An option; the last one counts when it is given twice.
    pub(super) fn option(&self, name: &str) -> Option<&Password> {
        self.options.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Reads the text.
    ///
    /// # Errors
    /// [`millrace_api::ErrorKind::Config`] with cause and fix; nothing of the text is repeated.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut tokens = Tokenizer::new(text);
        let Some(first) = tokens.next_token() else {
            return Err(invalid("it is empty", "name a login module"));
        };
        let entry = Self::entry(first, &mut tokens)?;
        if tokens.next_token().is_some() {
            return Err(invalid(
                "there is more than one login module, or text after the ';'",
                "keep exactly one entry",
            ));
        }
        Ok(entry)
    }

    fn entry(first: Token, tokens: &mut Tokenizer<'_>) -> Result<Self> {
        let known = |name: String| MODULES.iter().find(|(class, _)| *class == name).map(|(_, module)| *module);
        let Some(module) = first.text().and_then(known) else {
            let fix = "use PlainLoginModule, ScramLoginModule or OAuthBearerLoginModule of org.apache.kafka.common.security with \
                       its full name";
            return Err(invalid("its login module is not one that is supported", fix));
        };
        let flag = tokens.next_token().and_then(Token::text).unwrap_or_default();
        if !FLAGS.iter().any(|known| known.eq_ignore_ascii_case(&flag)) {
            return Err(invalid("no control flag follows the login module", "write 'required' behind it"));
        }
        let mut options = Vec::new();
        loop {
            let key = match tokens.next_token() {
                Some(Token::Other(';')) => return Ok(Self { module, options }),
                None => return Err(invalid("the entry is not terminated", "end it with ';'")),
                Some(token) => token.text(),
            };
            let equals = tokens.next_token() == Some(Token::Other('='));
            let value = if equals { tokens.next_token().and_then(Token::text) } else { None };
            let (Some(key), Some(value)) = (key, value) else {
                return Err(invalid("an option is not written as name=\"value\"", "put every value in double quotes"));
            };
            options.push((key, Password::new(value)));
        }
    }
}

/// An error about the setting.
pub(super) fn invalid(cause: &str, fix: &str) -> Error {
    Error::config(format!("Invalid value for configuration {KEY}: {cause}; {fix}"))
}

#[cfg(test)]
mod tests;
