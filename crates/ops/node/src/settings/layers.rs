//! How the layers become one: each value remembers where it came from, so that an error can say so.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{Settings, check};

/// How alike a wrong key and a known one must be to be suggested (Jaro-Winkler, 0 to 1). Lower suggests nonsense, higher misses a dropped letter.
const ALIKE: f64 = 0.8;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the settings in {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{path} is not valid TOML: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and what.
        reason: String,
    },
    /// There is no such setting.
    #[error("unknown setting `{key}` in {origin}{}", suggestion.as_deref().map(|s| format!("; did you mean `{s}`?")).unwrap_or_default())]
    Unknown {
        /// What was written.
        key: String,
        /// Where.
        origin: Origin,
        /// The known key that is most like it.
        suggestion: Option<String>,
    },
    /// The value has another type than the setting.
    #[error("`{key}` in {origin}: expected {expected}, found `{found}`")]
    Type {
        /// The setting.
        key: String,
        /// Where the value came from.
        origin: Origin,
        /// The type of the setting.
        expected: &'static str,
        /// What was written.
        found: String,
    },
    /// Values out of their range, all of them.
    #[error("{}", .0.join("\n"))]
    Range(Vec<String>),
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// The TOML file.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the defaults"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "the environment variable {name}"),
            Self::Flag(name) => write!(f, "the flag {name}"),
        }
    }
}

/// The values by dotted key, each with its origin. Weaker layers are added first.
#[derive(Clone, Debug)]
pub struct Layers {
    values: BTreeMap<String, (Value, Origin)>,
}

impl Default for Layers {
    fn default() -> Self {
        let defaults = Table::try_from(Settings::default()).expect("settings are plain tables");
        let values = flatten(&defaults).into_iter().map(|(key, value)| (key, (value, Origin::Default)));
        Self { values: values.collect() }
    }
}

impl Layers {
    /// Adds the TOML file at `path`.
    ///
    /// # Errors
    /// If it cannot be read, is no TOML, or holds an unknown key or a value of the wrong type.
    pub fn file(&mut self, path: &Path) -> Result<(), Error> {
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })?;
        self.text_of_file(path, &text)
    }

    /// Adds the text of the TOML file at `path`.
    ///
    /// # Errors
    /// If it is no TOML, or holds an unknown key or a value of the wrong type.
    pub fn text_of_file(&mut self, path: &Path, text: &str) -> Result<(), Error> {
        let table: Table = text
            .parse()
            .map_err(|e: toml::de::Error| Error::Syntax { path: path.into(), reason: e.to_string() })?;
        flatten(&table)
            .into_iter()
            .try_for_each(|(key, value)| self.set(key, value, Origin::File(path.into())))
    }

    /// Adds the variables of the environment that start with `ALYS_`; `ALYS_NETWORK_MDNS` stands for `network.mdns`.
    ///
    /// # Errors
    /// If one names no setting or has a value of the wrong type.
    pub fn environment(&mut self, variables: impl Iterator<Item = (String, String)>) -> Result<(), Error> {
        for (name, text) in variables.filter(|(name, _)| name.starts_with("ALYS_")) {
            let known = self.values.keys().find(|key| variable(key) == name).cloned();
            let Some(key) = known else {
                let suggestion = closest(&name, self.values.keys().map(|key| variable(key)));
                return Err(Error::Unknown {
                    origin: Origin::Environment(name.clone()),
                    key: name,
                    suggestion,
                });
            };
            self.text(&key, &text, Origin::Environment(name))?;
        }
        Ok(())
    }

    /// Adds a value given by a flag, as text.
    ///
    /// # Errors
    /// If `key` names no setting, or the text is of the wrong type.
    pub fn flag(&mut self, name: &'static str, key: &str, text: &str) -> Result<(), Error> {
        self.text(key, text, Origin::Flag(name))
    }

    /// All layers as one, with every range checked.
    ///
    /// # Errors
    /// All values that are out of range, with the rule and the origin of each.
    pub fn settings(&self) -> Result<Settings, Error> {
        let table =
            self.values.iter().fold(Table::new(), |table, (key, (value, _))| insert(table, key, value));
        let settings: Settings =
            table.try_into().map_err(|e: toml::de::Error| Error::Range(vec![e.message().to_owned()]))?;
        let broken = check::check(&settings);
        if broken.is_empty() {
            return Ok(settings);
        }
        let describe = |rule: &check::OutOfRange| {
            let origin = &self.values[rule.key].1;
            format!("`{}` is `{}` in {origin}; allowed: {}", rule.key, rule.value, rule.rule)
        };
        Err(Error::Range(broken.iter().map(describe).collect()))
    }

    fn text(&mut self, key: &str, text: &str, origin: Origin) -> Result<(), Error> {
        let value = match self.values.get(key).map(|(known, _)| known) {
            Some(Value::Integer(_)) => text.replace('_', "").parse().ok().map(Value::Integer),
            Some(Value::Boolean(_)) => text.parse().ok().map(Value::Boolean),
            Some(Value::Array(_)) => Some(Value::Array(
                text.split(',').filter(|s| !s.is_empty()).map(|s| Value::from(s.trim())).collect(),
            )),
            _ => Some(Value::from(text)),
        };
        self.set(key.to_owned(), value.unwrap_or_else(|| Value::from(text)), origin)
    }

    fn set(&mut self, key: String, value: Value, origin: Origin) -> Result<(), Error> {
        let Some((known, _)) = self.values.get(&key) else {
            if self.is_empty_section(&key, &value) {
                return Ok(());
            }
            let suggestion = closest(&key, self.values.keys().cloned());
            return Err(Error::Unknown { key, origin, suggestion });
        };
        if known.type_str() != value.type_str() {
            let found = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            return Err(Error::Type { key, origin, expected: known.type_str(), found });
        }
        self.values.insert(key, (value, origin));
        Ok(())
    }

    /// Whether it is a known section in which everything is commented out.
    fn is_empty_section(&self, key: &str, value: &Value) -> bool {
        let is_in = |known: &String| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
        value.as_table().is_some_and(Table::is_empty) && self.values.keys().any(is_in)
    }
}

/// The name in the environment of a dotted key.
fn variable(key: &str) -> String {
    format!("ALYS_{}", key.replace('.', "_").to_uppercase())
}

/// The leaves of a table by dotted key. An empty table is a leaf, so that a misspelt empty section is noticed as well.
fn flatten(table: &Table) -> Vec<(String, Value)> {
    let leaves = table.iter().flat_map(|(key, value)| match value {
        Value::Table(inner) if !inner.is_empty() => {
            flatten(inner).into_iter().map(|(rest, value)| (format!("{key}.{rest}"), value)).collect()
        }
        leaf => vec![(key.clone(), leaf.clone())],
    });
    leaves.collect()
}

fn insert(mut table: Table, key: &str, value: &Value) -> Table {
    let (section, rest) = key.split_once('.').unwrap_or(("", key));
    let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(inner) = inner {
        inner.insert(rest.to_owned(), value.clone());
    }
    table
}

/// The known key that is most like `key`, if any is like it at all.
fn closest(key: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let scored = known.map(|candidate| (strsim::jaro_winkler(key, &candidate), candidate));
    scored
        .filter(|(score, _)| *score >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Layers, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alys.toml");
        std::fs::write(&path, text).unwrap();
        let mut layers = Layers::default();
        layers.file(&path).map(|()| layers)
    }

    fn environment(layers: &mut Layers, name: &str, value: &str) -> Result<(), Error> {
        layers.environment([(name.to_owned(), value.to_owned())].into_iter())
    }

    #[test]
    fn without_any_layer_the_defaults_hold() {
        assert_eq!(Layers::default().settings().unwrap(), Settings::default());
    }

    #[test]
    fn the_stronger_layer_wins() {
        let mut layers =
            file("[network]\noutbound = 5\nmax_connections = 50\n[log]\nfilter = 'warn'").unwrap();
        environment(&mut layers, "ALYS_NETWORK_OUTBOUND", "6").unwrap();
        environment(&mut layers, "ALYS_NETWORK_LISTEN", "/ip4/127.0.0.1/tcp/1, /ip4/127.0.0.1/tcp/2")
            .unwrap();
        layers.flag("--outbound", "network.outbound", "7").unwrap();
        let settings = layers.settings().unwrap();
        assert_eq!((settings.network.outbound, settings.network.max_connections), (7, 50));
        assert_eq!(settings.network.listen, ["/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2"]);
        assert_eq!(settings.log.filter, "warn");
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_one_that_was_meant() {
        let error = file("[network]\nmax_conections = 5").unwrap_err().to_string();
        assert!(error.contains("did you mean `network.max_connections`?"), "{error}");
        assert!(file("[network]").is_ok(), "a section without a value says nothing");
        let error = file("[netwerk]").unwrap_err().to_string();
        assert!(error.contains("unknown setting `netwerk`"), "{error}");
        let error = environment(&mut Layers::default(), "ALYS_RPC_LISTN", "x").unwrap_err().to_string();
        assert!(error.contains("did you mean `ALYS_RPC_LISTEN`?"), "{error}");
    }

    #[test]
    fn other_variables_are_none_of_our_business() {
        environment(&mut Layers::default(), "HOME", "/root").unwrap();
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused_with_its_origin() {
        let error = file("[network]\nmdns = 'yes'").unwrap_err().to_string();
        assert!(error.contains("expected boolean, found `yes`"), "{error}");
        let error = environment(&mut Layers::default(), "ALYS_SYNC_WORKERS", "many").unwrap_err().to_string();
        assert!(error.contains("ALYS_SYNC_WORKERS: expected integer, found `many`"), "{error}");
        let error = file("network = 3").unwrap_err().to_string();
        assert!(error.contains("unknown setting `network`"), "{error}");
    }

    #[test]
    fn every_value_out_of_range_is_named_at_once() {
        let mut layers = Layers::default();
        for (key, value) in [
            ("network.listen", ""),
            ("network.bootnodes", "/ip4/1.2.3.4/tcp/1"),
            ("network.max_connections", "1"),
            ("network.outbound", "0"),
            ("network.connect_timeout_ms", "1"),
            ("sync.budget_bytes", "1"),
            ("sync.workers", "1000"),
            ("sync.checkpoint_interval", "0"),
            ("sync.checkpoint_retention", "0"),
            ("production.threshold_e4", "10_001"),
            ("production.threshold_e4", "9_949"),
            ("rpc.listen", "nowhere"),
            ("log.filter", ""),
        ] {
            layers.flag("--set", key, value).unwrap();
            let error = layers.settings().unwrap_err().to_string();
            assert!(error.contains(&format!("`{key}`")) && error.contains("--set"), "{key}: {error}");
        }
        layers.flag("--set", "network.listen", "localhost").unwrap();
        assert!(layers.settings().unwrap_err().to_string().contains("multiaddr such as"));
    }

    #[test]
    fn negative_numbers_and_unknown_words_are_refused() {
        let mut layers = Layers::default();
        layers.flag("--set", "sync.workers", "-1").unwrap();
        assert!(layers.settings().is_err());
        let mut layers = Layers::default();
        layers.flag("--set", "log.format", "xml").unwrap();
        assert!(layers.settings().unwrap_err().to_string().contains("xml"));
    }

    #[test]
    fn a_missing_or_broken_file_is_named() {
        let missing = Layers::default().file(Path::new("/nowhere/alys.toml")).unwrap_err().to_string();
        assert!(missing.contains("/nowhere/alys.toml"), "{missing}");
        assert!(file("[network").unwrap_err().to_string().contains("not valid TOML"));
    }
}
