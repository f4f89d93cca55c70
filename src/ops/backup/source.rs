//! Opens the source of a backup and checks the options that need it.

use std::{
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
    sync::Arc,
    time::SystemTime,
};

use uuid::Uuid;

use crate::{
    error::{Error, ErrorKind, Result},
    format::{
        deflate::encoder_id,
        info::{self, Info},
    },
    fs::{
        ignore::{
            Excludes,
            file::{self as ignore_file, IgnoreText},
        },
        replace::{self, StateDir},
        root::Root,
        walk::{SelectedPaths, TreeWalk, WalkOptions},
    },
    name::Key,
    ops::{
        backup::options::Backup,
        estimate::{self, Estimate},
    },
    progress::Tracker,
    rt::{background::Background, pipe},
    store::Store,
    task::unless_cancelled,
    template::{NameFields, host},
    warning::{PatternOrigin, Warning},
    write::{previous::PreviousArchive, tree::TreeOptions},
};

/// The opened source, and what the backup leaves out of it.
pub(super) struct Source {
    pub(super) root: Root,
    pub(super) walk: WalkOptions,
    pub(super) state: StateDir,
    pub(super) previous: Option<Arc<PreviousArchive>>,
    /// Key at which the destination may have the previous archive as well.
    pub(super) previous_key: Option<Key>,
    /// The identity of the archive, without its counts.
    pub(super) info: Info,
    pub(super) warnings: Vec<Warning>,
}

impl Source {
    /// Counts the source without reading any file.
    pub(super) fn count(&self, options: &TreeOptions, tracker: &Tracker) -> Result<Estimate> {
        self.count_each(options, tracker, || ())
    }

    /// Counts the source, and calls `counted` for each file.
    pub(super) fn count_each(
        &self,
        options: &TreeOptions,
        tracker: &Tracker,
        counted: impl Fn(),
    ) -> Result<Estimate> {
        let walk = TreeWalk::new(&self.root, &self.walk)?;
        estimate::count(walk, options, &self.info, || tracker.is_cancelled(), counted)
    }
}

impl Backup {
    /// Opens the source on a thread of its own, because a dead mount may block it for a long time.
    pub(super) async fn open_source(
        &self,
        store: Option<&dyn Store>,
        tracker: &Arc<Tracker>,
    ) -> Result<Background<Source>> {
        let this = self.clone();
        let open = pipe::spawn(move |_| this.open().map(Background::new))?;
        let mut source = unless_cancelled(tracker, open.finish()).await?;
        let previous = async { Ok(self.open_previous(store, &source.info).await) };
        match unless_cancelled(tracker, previous).await? {
            Ok(Some((previous, key))) => {
                (source.previous, source.previous_key) = (Some(Arc::new(previous)), key);
            }
            Ok(None) => {}
            Err(why) => source.warnings.push(why),
        }
        Ok(source)
    }

    /// Opens the previous archive, if there is one to use. Also returns the key at which the destination may have it.
    async fn open_previous(
        &self,
        store: Option<&dyn Store>,
        info: &Info,
    ) -> Result<Option<(PreviousArchive, Option<Key>)>, Warning> {
        let found = match (&self.previous, &self.cache) {
            (Some(previous), _) => Some((previous.clone(), previous.key())),
            (None, Some(cache)) => (cache.previous(&self.source).await)
                .map_err(|e| Warning::PreviousUnused(e.to_string()))?,
            (None, None) => None,
        };
        let Some((previous, key)) = found else { return Ok(None) };
        let id = encoder_id(self.settings.encoder, self.settings.level);
        let opened = previous.open(store, info, id, self.reuse_any).await?;
        Ok(Some((opened, key)))
    }

    /// Checks the encoder, opens the source and compiles the patterns.
    pub(super) fn open(&self) -> Result<Source> {
        self.settings.encoder.check(self.settings.level)?;
        info::check(self.label.as_deref(), &self.tags)?;
        let root = Root::open(&self.source)?;
        let state = StateDir::new(self.state_dir.as_deref());
        let staging = replace::check_whole(&root, root.path(), &state)?;
        let mut excludes = Excludes::new(self.rules);
        let (mut warnings, mut patterns) = (Vec::new(), Vec::new());
        let is_blank = |text: &[u8]| text.iter().all(|&b| b == b'\n');
        let is_list_empty = self.patterns.iter().all(|(_, text)| is_blank(text));
        if self.ignore_file.is_used(is_list_empty) {
            match ignore_file::read(&root, &self.ignore_file_name)? {
                IgnoreText::Text(text) => match excludes.add(PatternOrigin::IgnoreFile, &text) {
                    Ok(()) => patterns.extend([&text[..], b"\n"].concat()),
                    Err(e) => {
                        let name = &self.ignore_file_name;
                        warnings.push(Warning::IgnoreFile(format!("{name} is not used: {e}")));
                    }
                },
                IgnoreText::Unusable(why) => warnings.push(Warning::IgnoreFile(why)),
                IgnoreText::Missing => {}
            }
        }
        for (origin, text) in &self.patterns {
            excludes.add(origin.clone(), text)?;
            patterns.extend(text);
        }
        if let (true, Some(odd)) = (self.strict_patterns, excludes.warnings().first()) {
            let error = Error::new(ErrorKind::InvalidInput, "use the patterns");
            return Err(error.caused_by(odd.to_string()));
        }
        warnings.extend(excludes.warnings().iter().cloned().map(Warning::Pattern));
        if excludes.more_warnings() > 0 {
            warnings.push(Warning::MorePatterns(excludes.more_warnings()));
        }
        let walk = WalkOptions {
            excludes,
            one_file_system: self.one_file_system,
            selected: self.selected_paths()?,
            lists_unselected: false,
            own: None,
            staging,
        };
        let info = self.info(root.path(), patterns);
        Ok(Source { root, walk, state, previous: None, previous_key: None, info, warnings })
    }

    fn selected_paths(&self) -> Result<Option<SelectedPaths>> {
        let Some(paths) = &self.selected else { return Ok(None) };
        let mut selected = SelectedPaths::default();
        paths.iter().try_for_each(|path| selected.add(path))?;
        Ok(Some(selected))
    }

    /// Returns the values for the name of this backup's archive: its UUID, its label, the name of the machine and
    /// the current time.
    ///
    /// If the label is not set, this looks at the path of the source. That may block on a dead mount.
    pub fn name_fields(&self, uuid: Uuid) -> NameFields {
        let label = self.label.clone().unwrap_or_else(|| {
            let source = self.source.canonicalize();
            name_of(&source.unwrap_or_else(|_| self.source.clone()))
        });
        NameFields::new(uuid).label(label)
    }

    /// Returns the identity of the archive. A reproducible archive has nothing that differs between copies of a
    /// source.
    fn info(&self, root: &Path, excludes: Vec<u8>) -> Info {
        let known = Info {
            label: self.label.clone().unwrap_or_default(),
            tool: concat!("wingback ", env!("CARGO_PKG_VERSION")).to_owned(),
            rules: self.rules,
            excludes,
            omits_unnamed: self.selected.is_some(),
            tags: self.tags.clone(),
            ..Info::default()
        };
        if self.tree.reproducible {
            return known;
        }
        let source = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let host = host();
        Info {
            label: self.label.clone().unwrap_or_else(|| name_of(&source)),
            host: Some(host).filter(|host| !host.is_empty()),
            made: Some(self.tree.now.unwrap_or_else(SystemTime::now)),
            source: Some(source.into_os_string().into_vec()),
            ..known
        }
    }
}

/// Returns the name of a directory, which is the default label.
fn name_of(path: &Path) -> Vec<u8> {
    path.file_name().unwrap_or_default().as_bytes().to_vec()
}
