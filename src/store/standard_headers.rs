//! The standard headers of HTTP that every service keeps with an object and gives back with it. What
//! they mean is between the one who stored them and the one who reads them.

/// Headers kept with an object (RFC 9110, RFC 9111). Values are visible ASCII, as they were sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StandardHeaders {
    /// `Content-Type`; the service's default when `None`.
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Expires`, a date of HTTP; kept as text.
    pub expires: Option<String>,
}

impl StandardHeaders {
    /// Only a Content-Type.
    pub fn of_type(content_type: impl Into<String>) -> Self {
        Self { content_type: Some(content_type.into()), ..Self::default() }
    }

    /// Builds from a lookup by lower-case header name.
    pub fn collect(value_of: impl Fn(&'static str) -> Option<String>) -> Self {
        Self {
            content_type: value_of("content-type"),
            cache_control: value_of("cache-control"),
            content_disposition: value_of("content-disposition"),
            content_encoding: value_of("content-encoding"),
            content_language: value_of("content-language"),
            expires: value_of("expires"),
        }
    }

    /// Name (lower case) and value of those that are set.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("content-type", &self.content_type),
            ("cache-control", &self.cache_control),
            ("content-disposition", &self.content_disposition),
            ("content-encoding", &self.content_encoding),
            ("content-language", &self.content_language),
            ("expires", &self.expires),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    /// These, and those of `defaults` where none is set here.
    pub fn or(&self, defaults: &Self) -> Self {
        let pick =
            |own: &Option<String>, other: &Option<String>| own.clone().or_else(|| other.clone());
        Self {
            content_type: pick(&self.content_type, &defaults.content_type),
            cache_control: pick(&self.cache_control, &defaults.cache_control),
            content_disposition: pick(&self.content_disposition, &defaults.content_disposition),
            content_encoding: pick(&self.content_encoding, &defaults.content_encoding),
            content_language: pick(&self.content_language, &defaults.content_language),
            expires: pick(&self.expires, &defaults.expires),
        }
    }
}
