//! The options of a backup.

#[cfg(feature = "testing")]
use std::time::SystemTime;
use std::{fmt::Display, path::PathBuf, sync::Arc, thread};

use crate::{
    compression::{Encoder, Level},
    format::Profile,
    fs::ignore::{Rules, file::IgnoreFile},
    limiter::Limiter,
    ops::{cache::Cache, hook::Hook, previous::Previous},
    rt::threads::Threads,
    warning::PatternOrigin,
    write::{pipeline::Settings, tree::TreeOptions},
};

/// A backup of one directory: its options, and the methods that start it.
///
/// By default a backup holds every file, directory and symlink of the source except those that
/// `.pteroignore` in the source excludes. All processors compress.
///
/// | group | options |
/// |---|---|
/// | content | [`select`], [`exclude`], [`exclude_from`], [`rules`], [`ignore_file`], [`ignore_file_name`], [`strict_patterns`], [`one_file_system`], [`max_len`], [`include_archives`], [`allow_empty`] |
/// | archive | [`level`], [`encoder`], [`profile`], [`align`], [`reproducible`] |
/// | identity | [`label`], [`tag`] |
/// | reuse | [`previous`], [`trust_mtime`], [`reuse_any`], [`cache`] |
/// | resources | [`threads`], [`background`], [`read_limit`], [`write_limit`] |
/// | task | [`count_first`], [`on_source_read`], [`state_dir`] |
/// | start | [`start`], [`send_to`], [`write_to`], [`estimate`], [`preview`] |
///
/// ```
/// use futures::executor::block_on;
/// use wingback::{Backup, LocalStore};
///
/// # let tmp = tempfile::tempdir().unwrap();
/// # let (server, backups) = (tmp.path().join("server"), tmp.path().join("backups"));
/// # std::fs::create_dir(&server).unwrap();
/// # std::fs::create_dir(&backups).unwrap();
/// # std::fs::write(server.join("level.dat"), "…").unwrap();
/// let store = LocalStore::new(&backups);
/// let key = store.key(uuid::Uuid::new_v4());
/// let report = block_on(Backup::new(&server).exclude("*.log").start(store, key))?;
/// assert_eq!(report.files, 1);
/// # Ok::<(), wingback::Error>(())
/// ```
///
/// [`select`]: Backup::select
/// [`exclude`]: Backup::exclude
/// [`exclude_from`]: Backup::exclude_from
/// [`rules`]: Backup::rules
/// [`ignore_file`]: Backup::ignore_file
/// [`ignore_file_name`]: Backup::ignore_file_name
/// [`strict_patterns`]: Backup::strict_patterns
/// [`one_file_system`]: Backup::one_file_system
/// [`max_len`]: Backup::max_len
/// [`include_archives`]: Backup::include_archives
/// [`allow_empty`]: Backup::allow_empty
/// [`level`]: Backup::level
/// [`encoder`]: Backup::encoder
/// [`profile`]: Backup::profile
/// [`align`]: Backup::align
/// [`reproducible`]: Backup::reproducible
/// [`label`]: Backup::label
/// [`tag`]: Backup::tag
/// [`previous`]: Backup::previous
/// [`trust_mtime`]: Backup::trust_mtime
/// [`reuse_any`]: Backup::reuse_any
/// [`cache`]: Backup::cache
/// [`threads`]: Backup::threads
/// [`background`]: Backup::background
/// [`read_limit`]: Backup::read_limit
/// [`write_limit`]: Backup::write_limit
/// [`count_first`]: Backup::count_first
/// [`on_source_read`]: Backup::on_source_read
/// [`state_dir`]: Backup::state_dir
/// [`start`]: Backup::start
/// [`send_to`]: Backup::send_to
/// [`write_to`]: Backup::write_to
/// [`estimate`]: Backup::estimate
/// [`preview`]: Backup::preview
#[derive(Clone, Debug)]
pub struct Backup {
    pub(super) source: PathBuf,
    /// `None` selects everything.
    pub(super) selected: Option<Vec<Vec<u8>>>,
    /// Patterns in the order in which they were given. A text ends with a line feed.
    pub(super) patterns: Vec<(PatternOrigin, Vec<u8>)>,
    pub(super) rules: Rules,
    pub(super) ignore_file: IgnoreFile,
    pub(super) ignore_file_name: String,
    pub(super) strict_patterns: bool,
    pub(super) one_file_system: bool,
    pub(super) allow_empty: bool,
    pub(super) count_first: bool,
    pub(super) previous: Option<Previous>,
    pub(super) reuse_any: bool,
    pub(super) cache: Option<Cache>,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) tree: TreeOptions,
    pub(super) settings: Settings,
    pub(super) label: Option<Vec<u8>>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) source_read: Hook<Result<(), String>>,
}

impl Backup {
    /// Returns a backup of the directory `source` with the default options.
    pub fn new(source: impl Into<PathBuf>) -> Self {
        let count = thread::available_parallelism().map_or(1, usize::from);
        Backup {
            source: source.into(),
            selected: None,
            patterns: Vec::new(),
            rules: Rules::default(),
            ignore_file: IgnoreFile::default(),
            ignore_file_name: ".pteroignore".into(),
            strict_patterns: false,
            one_file_system: false,
            allow_empty: false,
            count_first: true,
            previous: None,
            reuse_any: false,
            cache: None,
            state_dir: None,
            tree: TreeOptions::default(),
            settings: Settings {
                encoder: Encoder::default(),
                level: Level::default(),
                profile: Profile::default(),
                threads: Threads { count, background: false },
                write_limit: Limiter::default(),
                align: false,
                names_copies: false,
            },
            label: None,
            tags: Vec::new(),
            source_read: Hook(Arc::new(|| Ok(()))),
        }
    }
}

/// # Content: which files the archive has
impl Backup {
    /// Backs up only these paths and everything beneath them, and the directories that lead to them. Calls add up;
    /// one without paths selects nothing.
    ///
    /// A path is relative to the source, and is not a pattern. A path that is absolute or has `..` fails the backup
    /// before it writes anything. Excludes apply to selected paths as well. The report lists a path that the source
    /// does not have as [`Missing`](crate::SkipReason::Missing), and is then [partial](crate::Report::is_partial).
    #[must_use]
    pub fn select<P: Into<Vec<u8>>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.selected.get_or_insert_default().extend(paths.into_iter().map(Into::into));
        self
    }

    /// Excludes the paths that these patterns match.
    ///
    /// The text has one pattern a line, in the language that [`rules`](Backup::rules) sets. Calls add up.
    /// If several patterns match a path, the last of them decides. Patterns over the limits of
    /// [`Excludes::add`](crate::Excludes::add) fail the backup before it writes anything.
    #[must_use]
    pub fn exclude(mut self, patterns: impl AsRef<[u8]>) -> Self {
        let patterns = [patterns.as_ref(), b"\n"].concat();
        match self.patterns.last_mut() {
            Some((PatternOrigin::Caller, text)) => text.extend(patterns),
            _ => self.patterns.push((PatternOrigin::Caller, patterns)),
        }
        self
    }

    /// Excludes the paths that these patterns match, as [`exclude`](Backup::exclude) does. Warnings and a
    /// [preview](Backup::preview) name them by `name`, such as the file that has them, and number their lines
    /// from 1.
    #[must_use]
    pub fn exclude_from(mut self, name: impl Into<String>, patterns: impl AsRef<[u8]>) -> Self {
        let origin = PatternOrigin::ExcludeFrom(name.into().into());
        self.patterns.push((origin, [patterns.as_ref(), b"\n"].concat()));
        self
    }

    /// Sets the language of patterns: `.gitignore` or Wings. The default is `.gitignore`.
    #[must_use]
    pub fn rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// Sets when the ignore file in the root of the source is used.
    #[must_use]
    pub fn ignore_file(mut self, mode: IgnoreFile) -> Self {
        self.ignore_file = mode;
        self
    }

    /// Sets the name of the ignore file. The default is `.pteroignore`.
    #[must_use]
    pub fn ignore_file_name(mut self, name: impl Into<String>) -> Self {
        self.ignore_file_name = name.into();
        self
    }

    /// Fails on a suspicious pattern before anything is written. By default it is a warning.
    #[must_use]
    pub fn strict_patterns(mut self, strict: bool) -> Self {
        self.strict_patterns = strict;
        self
    }

    /// Skips directories on other file systems than the source.
    #[must_use]
    pub fn one_file_system(mut self, stay: bool) -> Self {
        self.one_file_system = stay;
        self
    }

    /// Backs up only the first `len` bytes of the file at `path`, relative to the source.
    ///
    /// The command `save query` of a running Bedrock server reports such lengths.
    #[must_use]
    pub fn max_len(mut self, path: impl Into<Vec<u8>>, len: u64) -> Self {
        self.tree.max_len.insert(path.into(), len);
        self
    }

    /// Backs up archives of wingback in the source as well. The default is false: the report lists them with
    /// [`SkipReason::OwnBackup`](crate::SkipReason::OwnBackup), because a backup of backups grows each time.
    ///
    /// Archives are recognized by their first and last bytes. Files of the store that the backup goes to are left
    /// out in any case. A file that a backup copies from a [previous](Backup::previous) archive is not looked at
    /// again. An [`estimate`](Backup::estimate) reads no file, so it counts archives. A
    /// [preview](Backup::preview) leaves them out.
    #[must_use]
    pub fn include_archives(mut self, include: bool) -> Self {
        self.tree.include_archives = include;
        self
    }

    /// Makes an archive also if it has no members. The default is false: such a backup fails before it commits
    /// anything, because an empty source is more often a mistake than a backup.
    ///
    /// The report of an empty archive has the warning [`Empty`](crate::Warning::Empty).
    #[must_use]
    pub fn allow_empty(mut self, allow: bool) -> Self {
        self.allow_empty = allow;
        self
    }
}

/// # Archive: how the files are stored
impl Backup {
    /// Sets the compression level. The default is [`Level::Fast`].
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.settings.level = level;
        self
    }

    /// Sets the code that compresses. The default is [`Encoder::Wingback`].
    ///
    /// The backup fails before it writes anything if [`Encoder::check`] refuses the encoder at its level.
    #[must_use]
    pub fn encoder(mut self, encoder: Encoder) -> Self {
        self.settings.encoder = encoder;
        self
    }

    /// Sets which entries the tar stream has. The default is [`Profile::Full`].
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.tree.profile = profile;
        self.settings.profile = profile;
        self
    }

    /// Begins about one segment for each MiB of the tar stream at a multiple of 4096 bytes, by padding. Unchanged
    /// parts of two archives are then equal blocks, which file systems can share. An archive becomes about 0.3 %
    /// larger.
    ///
    /// A backup into a [`LocalStore`](crate::LocalStore) shares the blocks that it copies from a previous archive on
    /// the same file system, if that is XFS, btrfs or another one that can. Otherwise it writes them.
    #[must_use]
    pub fn align(mut self, align: bool) -> Self {
        self.settings.align = align;
        self
    }

    /// Leaves out what differs between copies of a tree, so that they give the same bytes: ctimes, inode numbers,
    /// and the source, host and time of the identity. The [label](Backup::label) is empty unless it was set.
    ///
    /// A later backup cannot use such an archive to tell which files are unchanged.
    #[must_use]
    pub fn reproducible(mut self, reproducible: bool) -> Self {
        self.tree.reproducible = reproducible;
        self
    }
}

/// # Identity: what the archive says about itself
impl Backup {
    /// Sets the [label](crate::Info::label) of the archive, of at most [`LABEL_MAX`](crate::LABEL_MAX) bytes: a name of
    /// what it is a backup of, such as the UUID of a server. The default is the name of the source directory.
    ///
    /// A longer label fails the backup before it writes anything.
    #[must_use]
    pub fn label(mut self, label: impl Into<Vec<u8>>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds a key with a value to the identity of the archive. Calls add up.
    ///
    /// More than [`TAGS_MAX`](crate::TAGS_MAX) tags, a key with `=` or of more than
    /// [`LABEL_MAX`](crate::LABEL_MAX) bytes, and a value of more than [`TAG_VALUE_MAX`](crate::TAG_VALUE_MAX)
    /// bytes fail the backup before it writes anything.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.push((key.into(), value.into()));
        self
    }
}

/// # Reuse: copying unchanged data
impl Backup {
    /// Copies unchanged data from a previous archive of the same source.
    ///
    /// The backup does not read a file that is unchanged, and does not compress a segment that is
    /// unchanged. The new archive is complete and does not depend on the previous one. It has the same
    /// bytes as a backup without this option, except for [`Info::made`](crate::Info::made). (With
    /// [`Encoder::IsaL`] only the content is the same.)
    ///
    /// A file is unchanged if its size, mtime, ctime and inode equal those in the previous archive, and
    /// it was not being changed then. Copied data is compared with its checksum. If the checksum is wrong,
    /// or the previous archive cannot be used, the backup reads the source instead and adds a warning
    /// to the report. Use only an archive that nobody else could have written, because its content is
    /// taken as the content of the source.
    #[must_use]
    pub fn previous(mut self, previous: Previous) -> Self {
        self.previous = Some(previous);
        self
    }

    /// Treats a file with an equal mtime as unchanged, even if its ctime differs.
    ///
    /// Use it where a program changes the owner of every file again and again, as Wings does at each start
    /// of a server. A change after which somebody sets the mtime back is then not noticed.
    #[must_use]
    pub fn trust_mtime(mut self, trust: bool) -> Self {
        self.tree.trust_mtime = trust;
        self
    }

    /// Also copies segments that another encoder or level has compressed.
    ///
    /// The archive then does not have the same bytes as a backup without a previous archive.
    #[must_use]
    pub fn reuse_any(mut self, any: bool) -> Self {
        self.reuse_any = any;
        self
    }

    /// Uses the last archive in `cache` as the previous one, and keeps a copy of the new archive there.
    ///
    /// Use it for destinations that are not a local store. [`previous`](Backup::previous) takes precedence. An upload to
    /// S3 then sends only the parts that have changed, and the service copies the others.
    #[must_use]
    pub fn cache(mut self, cache: Cache) -> Self {
        self.cache = Some(cache);
        self
    }
}

/// # Resources: threads, priority and limits
impl Backup {
    /// Sets the number of threads that compress, at least one. The default is one for each processor.
    ///
    /// More threads write the tar stream, hash, and wait for the disk: four to eight. The bytes of the archive do
    /// not depend on this number.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.settings.threads.count = threads.clamp(1, 1024);
        self
    }

    /// Runs with the lowest priority for the processor and the disk.
    #[must_use]
    pub fn background(mut self, background: bool) -> Self {
        self.settings.threads.background = background;
        self
    }

    /// Limits how fast the source is read.
    #[must_use]
    pub fn read_limit(mut self, limit: Limiter) -> Self {
        self.tree.read_limit = limit;
        self
    }

    /// Limits how fast the archive is written.
    #[must_use]
    pub fn write_limit(mut self, limit: Limiter) -> Self {
        self.settings.write_limit = limit;
        self
    }
}

/// # Task: before the backup starts, and after it has read the source
impl Backup {
    /// Sets whether a thread counts the tree while the backup begins, so that [`Progress::expected`] is known.
    /// The default is true.
    ///
    /// With a [previous](Backup::previous) archive, the content of that archive is the expectation, and nothing
    /// is counted. Without an observer of the progress, the count costs a walk over the metadata for nothing.
    ///
    /// [`Progress::expected`]: crate::Progress::expected
    #[must_use]
    pub fn count_first(mut self, count: bool) -> Self {
        self.count_first = count;
        self
    }

    /// Sets a function to call once, as soon as the source has been read completely, and before the archive is
    /// complete. It is for a server that does not save during a backup, and may save again now.
    ///
    /// A thread of the engine calls it. The archive is not visible in the store before the function has returned.
    /// Meanwhile other threads compress and upload the rest. An error of the function does not fail the backup: it is
    /// a [warning](crate::Warning::Hook) in the report.
    ///
    /// It is not called for a backup that fails or is cancelled before that. A task with an error therefore does not
    /// say whether it was called. After a cancel the task resolves only after the function has returned. A dropped
    /// task does not wait for it; [`join_threads`](crate::join_threads) does.
    #[must_use]
    pub fn on_source_read<E: Display>(
        mut self,
        source_read: impl Fn() -> Result<(), E> + Send + Sync + 'static,
    ) -> Self {
        self.source_read = Hook(Arc::new(move || source_read().map_err(|e| e.to_string())));
        self
    }

    /// Sets the directory in which to look for an interrupted restore of the source.
    ///
    /// It is the directory of [`Restore::state_dir`](crate::Restore::state_dir). The default is
    /// [`default_state_dir`](crate::default_state_dir). After an interrupted exchange the source is neither
    /// the old tree nor the new one, so its backup fails with [`Busy`](crate::ErrorKind::Busy). A record
    /// that cannot be read fails the backup as well.
    #[must_use]
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }
}

/// # Tests: only with the feature `testing`
#[cfg(feature = "testing")]
impl Backup {
    /// Sets the current time.
    ///
    /// A later backup reads a file again that was changed shortly before this one. A test cannot make the ctime of
    /// a file older, so it lets the backup believe that time has passed.
    #[must_use]
    pub fn now(mut self, now: SystemTime) -> Self {
        self.tree.now = Some(now);
        self
    }
}
