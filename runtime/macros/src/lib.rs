//! `#[derive(Config)]`: a configuration struct becomes a `ConfigDef` and a parser (see `millrace_api::config`).
//!
//! Attributes of a field, all in `#[config(…)]`:
//!
//! | attribute | meaning |
//! |---|---|
//! | `name = "batch.size"` | the key; by default the field's name with `_` as `.` |
//! | `default = "2000"` | text parsed like a given value; without it `Option` fields default to null and others are required |
//! | `importance = "high"` | `high`, `medium` (default) or `low` |
//! | `range = "1.."`, `"0..=100"` | bounds of a number |
//! | `one_of("a", "b")`, `one_of_ignore_case(…)` | allowed texts |
//! | `non_empty` | text must not be empty |
//! | `distinct`, `distinct_non_empty` | a list's items must not be empty, nor the same twice |
//! | `check = path` | `fn(&str) -> Result<(), String>` |
//! | `check_verbatim = path` | the same, whose error is the whole message |
//! | `kind = "class"` | when the Rust type does not tell: `class`, `short` |
//! | `group = "…"`, `order = 1`, `width = "long"`, `display = "…"` | for forms |
//! | `recommended("a", "b")`, `dependents("x")` | for forms |
//! | `flatten` | the field is itself a `Config`; its keys join this table |
//!
//! A field without a doc comment does not compile: the doc comment is the key's documentation.

mod field;

use proc_macro::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, parse_macro_input};

/// See the crate documentation.
#[proc_macro_derive(Config, attributes(config))]
pub fn derive_config(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

fn expand(input: &DeriveInput) -> syn::Result<proc_macro2::TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(input, "Config can be derived for structs only"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(input, "Config needs named fields"));
    };
    let fields = fields.named.iter().map(field::Field::read).collect::<syn::Result<Vec<_>>>()?;
    let (name, (impls, types, wheres)) = (&input.ident, input.generics.split_for_impl());
    let keys = fields.iter().map(field::Field::key);
    let values = fields.iter().map(field::Field::parse);
    Ok(quote! {
        impl #impls ::millrace_api::config::Config for #name #types #wheres {
            fn def() -> ::millrace_api::config::ConfigDef {
                let mut def = ::millrace_api::config::ConfigDef::default();
                #(#keys)*
                def
            }

            fn parse(props: &::millrace_api::config::Props) -> ::millrace_api::Result<Self> {
                let def = <Self as ::millrace_api::config::Config>::def();
                let value = |name: &str| match def.get(name) {
                    Some(key) => key.parse(props),
                    None => Ok(::millrace_api::config::Parsed::Null),
                };
                Ok(Self { #(#values)* })
            }
        }
    })
}
