//! The switch `compatibility`: the program that the daemon stands in for, and the defaults that follow
//! from it.

use std::path::Path;

use clap::ValueEnum;
use hyper::StatusCode;
use serde::Deserialize;
use wingback::{IgnoreFile, Rules};

use super::values::ArchiveName;

/// The program that the daemon stands in for.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compatibility {
    /// None: the daemon does what the documentation of the endpoint says.
    #[default]
    Documented,
    /// Pterodactyl's Wings.
    Pterodactyl,
    /// Pelican's Wings.
    Pelican,
}

impl Compatibility {
    /// Returns the word of the configuration.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Pterodactyl => "pterodactyl",
            Self::Pelican => "pelican",
        }
    }

    /// Returns the path of the configuration.
    pub(crate) fn config_path(self) -> &'static Path {
        Path::new(match self {
            Self::Documented | Self::Pterodactyl => "/etc/pterodactyl/config.yml",
            Self::Pelican => "/etc/pelican/config.yml",
        })
    }

    pub(super) fn root_directory(self) -> &'static Path {
        Path::new(match self {
            Self::Documented | Self::Pterodactyl => "/var/lib/pterodactyl",
            Self::Pelican => "/var/lib/pelican",
        })
    }

    pub(crate) fn archive_name(self) -> ArchiveName {
        ArchiveName::known(match self {
            Self::Documented => "backup-{uuid}.tar.gz",
            Self::Pterodactyl => "{uuid}.tar.gz",
            Self::Pelican => "{server}/{uuid}.tar.gz",
        })
    }

    pub(super) fn ignore_file(self) -> &'static str {
        match self {
            Self::Documented | Self::Pterodactyl => ".pteroignore",
            Self::Pelican => ".pelicanignore",
        }
    }

    pub(super) fn ignore_mode(self) -> IgnoreFile {
        match self {
            Self::Documented => IgnoreFile::Merge,
            Self::Pterodactyl | Self::Pelican => IgnoreFile::Replace,
        }
    }

    pub(super) fn rules(self) -> Rules {
        match self {
            Self::Documented => Rules::Git,
            Self::Pterodactyl | Self::Pelican => Rules::Wings,
        }
    }

    /// Returns whether restores download only from public addresses.
    pub(super) fn links_are_public(self) -> bool {
        self == Self::Pelican
    }

    /// Returns the status for a backup with an unknown adapter.
    pub(super) fn invalid_adapter_status(self) -> StatusCode {
        match self {
            Self::Documented => StatusCode::BAD_REQUEST,
            Self::Pterodactyl | Self::Pelican => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns the status for a path with a malformed UUID of a backup.
    pub(super) fn invalid_uuid_status(self) -> StatusCode {
        match self {
            Self::Documented | Self::Pterodactyl => StatusCode::NOT_FOUND,
            Self::Pelican => StatusCode::BAD_REQUEST,
        }
    }
}
