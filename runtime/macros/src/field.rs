//! One field of a configuration struct.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Error, Expr, ExprLit, ExprRange, Ident, Lit, LitStr, Path, RangeLimits, Token, Type, punctuated::Punctuated,
};

/// A field with its attributes.
pub(crate) struct Field<'a> {
    ident: &'a Ident,
    ty: &'a Type,
    doc: String,
    attributes: Attributes,
}

#[derive(Default)]
struct Attributes {
    name: Option<String>,
    default: Option<String>,
    importance: Option<String>,
    validator: Option<TokenStream>,
    kind: Option<String>,
    group: Option<String>,
    order: Option<i32>,
    width: Option<String>,
    display: Option<String>,
    recommended: Vec<LitStr>,
    dependents: Vec<LitStr>,
    flatten: bool,
}

impl<'a> Field<'a> {
    pub(crate) fn read(field: &'a syn::Field) -> syn::Result<Self> {
        let Some(ident) = &field.ident else {
            return Err(Error::new_spanned(field, "Config needs named fields"));
        };
        let attributes = Attributes::read(field)?;
        let doc = doc(field);
        if doc.is_empty() && !attributes.flatten {
            return Err(Error::new_spanned(
                field,
                "a configuration key needs a doc comment: it is the key's documentation",
            ));
        }
        Ok(Self { ident, ty: &field.ty, doc, attributes })
    }

    /// Code that adds the key to `def`.
    pub(crate) fn key(&self) -> TokenStream {
        let ty = self.ty;
        if self.attributes.flatten {
            return quote! { def = def.and(<#ty as ::millrace_api::config::Config>::def()); };
        }
        let a = &self.attributes;
        let (name, doc) = (self.name(), &self.doc);
        let kind = a.kind.as_deref().map_or_else(|| kind_of(ty), variant);
        let default = match &a.default {
            Some(text) => quote! { Value(#text.to_owned()) },
            None if generic_of(ty, "Option").is_some() => quote! { Null },
            None => quote! { Required },
        };
        let importance = variant(a.importance.as_deref().unwrap_or("medium"));
        let validator = a.validator.clone().unwrap_or_else(|| quote! { Any });
        let group = a.group.as_ref().map(|group| quote! { key.group = Some(#group.to_owned()); });
        let order = a.order.map(|order| quote! { key.order = #order; });
        let width = a.width.as_deref().map(variant);
        let width = width.map(|width| quote! { key.width = ::millrace_api::config::Width::#width; });
        let display = a.display.as_ref().map(|display| quote! { key.display_name = #display.to_owned(); });
        let (recommended, dependents) = (&a.recommended, &a.dependents);
        quote! {
            def.keys.push({
                let mut key = ::millrace_api::config::ConfigKey::new(
                    #name,
                    ::millrace_api::config::ConfigType::#kind,
                    ::millrace_api::config::Default::#default,
                    ::millrace_api::config::Importance::#importance,
                    #doc,
                );
                key.validator = ::millrace_api::config::Validator::#validator;
                key.recommended = ::std::vec![#(#recommended.to_owned()),*];
                key.dependents = ::std::vec![#(#dependents.to_owned()),*];
                #group #order #width #display
                key
            });
        }
    }

    /// Code that fills the field.
    pub(crate) fn parse(&self) -> TokenStream {
        let (ident, ty, name) = (self.ident, self.ty, self.name());
        if self.attributes.flatten {
            return quote! { #ident: <#ty as ::millrace_api::config::Config>::parse(props)?, };
        }
        quote! { #ident: <#ty as ::millrace_api::config::FromConfig>::from_config(value(#name)?), }
    }

    fn name(&self) -> String {
        self.attributes.name.clone().unwrap_or_else(|| self.ident.to_string().replace('_', "."))
    }
}

impl Attributes {
    fn read(field: &syn::Field) -> syn::Result<Self> {
        let mut found = Self::default();
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("config")) {
            attribute.parse_nested_meta(|meta| {
                let Some(key) = meta.path.get_ident() else { return Err(meta.error("expected a name")) };
                match key.to_string().as_str() {
                    "flatten" => found.flatten = true,
                    "non_empty" => found.validator = Some(quote! { NonEmpty }),
                    "distinct" => found.validator = Some(quote! { Distinct }),
                    "distinct_non_empty" => found.validator = Some(quote! { DistinctNonEmpty }),
                    "one_of" => {
                        let list = texts(&meta)?;
                        found.validator = Some(quote! { OneOf(&[#(#list),*]) });
                    }
                    "one_of_ignore_case" => {
                        let list = texts(&meta)?;
                        found.validator = Some(quote! { OneOfIgnoreCase(&[#(#list),*]) });
                    }
                    "recommended" => found.recommended = texts(&meta)?,
                    "dependents" => found.dependents = texts(&meta)?,
                    "check" => {
                        let path: Path = meta.value()?.parse()?;
                        found.validator = Some(quote! { Custom(#path) });
                    }
                    "check_verbatim" => {
                        let path: Path = meta.value()?.parse()?;
                        found.validator = Some(quote! { Verbatim(#path) });
                    }
                    "order" => found.order = Some(meta.value()?.parse::<syn::LitInt>()?.base10_parse()?),
                    "range" => found.validator = Some(range(&text(&meta)?)?),
                    "name" => found.name = Some(text(&meta)?.value()),
                    "default" => found.default = Some(text(&meta)?.value()),
                    "importance" => found.importance = Some(text(&meta)?.value()),
                    "kind" => found.kind = Some(text(&meta)?.value()),
                    "group" => found.group = Some(text(&meta)?.value()),
                    "width" => found.width = Some(text(&meta)?.value()),
                    "display" => found.display = Some(text(&meta)?.value()),
                    other => return Err(meta.error(format!("unknown attribute `{other}`"))),
                }
                Ok(())
            })?;
        }
        Ok(found)
    }
}

fn text(meta: &syn::meta::ParseNestedMeta<'_>) -> syn::Result<LitStr> {
    meta.value()?.parse()
}

fn texts(meta: &syn::meta::ParseNestedMeta<'_>) -> syn::Result<Vec<LitStr>> {
    let content;
    syn::parenthesized!(content in meta.input);
    Ok(Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?.into_iter().collect())
}

/// `1..` or `0..=100`.
fn range(text: &LitStr) -> syn::Result<TokenStream> {
    let range: ExprRange = text.parse()?;
    match (&range.start, &range.limits, &range.end) {
        (Some(min), RangeLimits::HalfOpen(_), None) => Ok(quote! { AtLeast(#min) }),
        (Some(min), RangeLimits::Closed(_), Some(max)) => Ok(quote! { Between(#min, #max) }),
        _ => Err(Error::new_spanned(text, "write `min..` or `min..=max`")),
    }
}

/// `high` as `High`.
fn variant(text: &str) -> Ident {
    let mut name: String = text[..1].to_uppercase();
    name.push_str(&text[1..]);
    Ident::new(&name, proc_macro2::Span::call_site())
}

fn kind_of(ty: &Type) -> Ident {
    let inner = generic_of(ty, "Option").unwrap_or(ty);
    let name = if generic_of(inner, "Vec").is_some() { "Vec".to_owned() } else { last_segment(inner) };
    let kind = match name.as_str() {
        "bool" => "Boolean",
        "i16" => "Short",
        "i32" | "u16" => "Int",
        "i64" | "u32" | "u64" | "usize" => "Long",
        "f64" => "Double",
        "Vec" => "List",
        "Password" => "Password",
        _ => "String",
    };
    Ident::new(kind, proc_macro2::Span::call_site())
}

fn last_segment(ty: &Type) -> String {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default(),
        _ => String::new(),
    }
}

/// `T` of `Wrapper<T>`.
fn generic_of<'t>(ty: &'t Type, wrapper: &str) -> Option<&'t Type> {
    let Type::Path(path) = ty else { return None };
    let segment = path.path.segments.last().filter(|segment| segment.ident == wrapper)?;
    let syn::PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        syn::GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// The doc comment as one text: lines joined by spaces, paragraphs by newlines.
fn doc(field: &syn::Field) -> String {
    let lines = field.attrs.iter().filter(|attribute| attribute.path().is_ident("doc")).filter_map(|attribute| {
        let Ok(meta) = attribute.meta.require_name_value() else { return None };
        match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        }
    });
    let mut text = String::new();
    for line in lines {
        if line.is_empty() {
            text.push('\n');
        } else {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push(' ');
            }
            text.push_str(&line);
        }
    }
    text
}
