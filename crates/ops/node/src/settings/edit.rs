//! One value changed in the text of a settings file, the rest kept as it is, comments included.

use toml::Value;

/// The text with `key = value` in the section: in place of the line that sets it, or of the one that has it commented out, or else at the
/// top of the section, or in a new one at the end.
#[must_use]
pub fn with_value(text: &str, section: &str, key: &str, value: impl Into<Value>) -> String {
    let line = format!("{key} = {}", value.into());
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let header = format!("[{section}]");
    let Some(start) = lines.iter().position(|line| line.trim() == header) else {
        lines.extend([String::new(), header, line]);
        return lines.join("\n").trim_start().to_owned() + "\n";
    };
    let end = lines[start + 1..].iter().position(|line| line.trim_start().starts_with('['));
    let section = start + 1..end.map_or(lines.len(), |end| start + 1 + end);
    let sets = |line: &String, prefix: &str| {
        let rest =
            line.trim_start().strip_prefix(prefix).and_then(|rest| rest.trim_start().strip_prefix(key));
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let found = ["", "#"].iter().find_map(|prefix| section.clone().find(|i| sets(&lines[*i], prefix)));
    match found {
        Some(at) => lines[at] = line,
        None => lines.insert(start + 1, line),
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::TEMPLATE;

    fn set(text: &str) -> String {
        with_value(text, "production", "authority_key", "a \"b\"")
    }

    #[test]
    fn the_commented_default_makes_room_for_the_value() {
        let text = set(TEMPLATE);
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["production"]["authority_key"].as_str(), Some("a \"b\""));
        assert_eq!(text.lines().count(), TEMPLATE.lines().count());
        assert_eq!(set(&text), text);
    }

    #[test]
    fn a_file_without_the_section_or_the_key_gets_them() {
        for text in ["", "[log]\nfilter = 'warn'", "[production]\nenabled = false\n[log]", "[production]"] {
            let table: toml::Table = set(text).parse().unwrap();
            assert_eq!(table["production"]["authority_key"].as_str(), Some("a \"b\""), "{text}");
        }
    }
}
