//! The text of `--check`: the values that depend on the switch `compatibility`.

use super::{Config, values};

impl Config {
    /// Returns these values, one a line. Those that the file sets are marked.
    pub(crate) fn summary(&self) -> String {
        let (system, wingback) = (&self.system, &self.wingback);
        let path = |path: std::path::PathBuf| path.display().to_string();
        let lines = [
            ("wingback.compatibility", wingback.compatibility.code().to_owned(), false),
            ("system.root_directory", path(self.root_directory()), system.root_directory.is_some()),
            ("system.data", path(self.data()), system.data.is_some()),
            (
                "system.backup_directory",
                path(self.backup_directory()),
                system.backup_directory.is_some(),
            ),
            (
                "wingback.archive_name",
                self.archive_name().to_string(),
                wingback.archive_name.is_some(),
            ),
            ("wingback.ignore_file", self.ignore_file().to_owned(), wingback.ignore_file.is_some()),
            (
                "wingback.ignore_mode",
                values::ignore_mode_code(self.ignore_mode()).to_owned(),
                wingback.ignore_mode.is_some(),
            ),
            ("wingback.rules", self.rules().code().to_owned(), wingback.rules.is_some()),
            ("wingback.tokens", self.tokens().code().to_owned(), wingback.tokens.is_some()),
            (
                "system.backups.restore_host_allowlist",
                self.allowed_hosts().map_or("all".to_owned(), |hosts| format!("public, {hosts:?}")),
                system.backups.restore_host_allowlist.is_some(),
            ),
            (
                "wingback.invalid_adapter_status",
                self.invalid_adapter_status().as_str().to_owned(),
                wingback.invalid_adapter_status.is_some(),
            ),
            (
                "wingback.invalid_uuid_status",
                self.invalid_uuid_status().as_str().to_owned(),
                wingback.invalid_uuid_status.is_some(),
            ),
        ];
        let line = |(key, value, is_set): (&str, String, bool)| {
            format!("{key}: {value}{}\n", if is_set { "  # set in the file" } else { "" })
        };
        lines.into_iter().map(line).collect()
    }
}
