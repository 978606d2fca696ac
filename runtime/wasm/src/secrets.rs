//! Values of PASSWORD keys that were given to a guest: whatever text comes back from it, they are not in it (invariant 6).

use std::borrow::Cow;
use std::sync::Arc;

use millrace_api::config::{ConfigDef, ConfigType, Password, Props};

/// The secrets of a chain or aggregate.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    values: Option<Arc<[Password]>>,
}

impl Secrets {
    /// The values that `props` holds under PASSWORD keys of `tables`.
    pub(crate) fn of<'a>(tables: impl Iterator<Item = (&'a ConfigDef, &'a Props)>) -> Self {
        let values = tables.flat_map(|(def, props)| {
            let keys = def.keys.iter().filter(|key| key.kind == ConfigType::Password);
            keys.filter_map(|key| props.get(&key.name)).filter(|value| !value.trim().is_empty())
        });
        let values: Vec<Password> = values.map(|value| Password::new(value.trim())).collect();
        Self { values: (!values.is_empty()).then(|| values.into()) }
    }

    /// `text` without them.
    pub(crate) fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut shown = Cow::Borrowed(text);
        for secret in self.values.iter().flat_map(|values| values.iter()) {
            if shown.contains(secret.reveal()) {
                shown = Cow::Owned(shown.replace(secret.reveal(), Password::HIDDEN));
            }
        }
        shown
    }
}
