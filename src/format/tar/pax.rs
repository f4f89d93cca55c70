//! The records of a PAX extended header. Each is `length key=value\n`.

use super::{
    block::Parsed,
    sparse::SparseRecords,
    value::{decimal, record_name, time},
};

/// The records of an extended header that a restore uses. Other keys are ignored, and so is
/// `hdrcharset`: names are bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime_ns: Option<i64>,
    pub(super) sparse: SparseRecords,
}

impl Records {
    /// Reads the body of an extended header. If a key occurs twice, the last value counts.
    pub(super) fn parse(mut body: &[u8]) -> Parsed<Records> {
        let mut records = Records::default();
        while !body.is_empty() {
            let (key, value, rest) = record(body).ok_or("a PAX record is malformed")?;
            records.set(key, value)?;
            body = rest;
        }
        Ok(records)
    }

    /// Merges the records of a global header. Records that would rename or resize every file after it
    /// are refused.
    pub(super) fn merge_global(&mut self, global: Records) -> Parsed<()> {
        let Records { path, link, size, uid, gid, mtime_ns, sparse } = global;
        if path.is_some() || link.is_some() || size.is_some() || sparse != SparseRecords::default()
        {
            return Err("a global header gives the same name, size or map to every file");
        }
        self.uid = uid.or(self.uid);
        self.gid = gid.or(self.gid);
        self.mtime_ns = mtime_ns.or(self.mtime_ns);
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Parsed<()> {
        if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
            return self.sparse.set(key, value);
        }
        match key {
            b"path" => self.path = Some(record_name(value)?),
            b"linkpath" => self.link = Some(record_name(value)?),
            b"size" => self.size = Some(decimal(value)?),
            // POSIX: an empty value cancels the value before it.
            b"uid" => self.uid = if value.is_empty() { None } else { Some(id(value)?) },
            b"gid" => self.gid = if value.is_empty() { None } else { Some(id(value)?) },
            b"mtime" => self.mtime_ns = if value.is_empty() { None } else { Some(time(value)?) },
            _ => {}
        }
        Ok(())
    }
}

/// Splits off the first record. Returns its key, its value and the rest of the body.
fn record(body: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = body.iter().position(|&byte| byte == b' ')?;
    let len = usize::try_from(decimal(&body[..space]).ok()?).ok()?;
    let (record, rest) = body.split_at_checked(len)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&byte| byte == b'=')?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    (!key.is_empty() && !key.contains(&0)).then_some((key, value, rest))
}

/// Reads an owner. Systems whose `nobody` is -2 write a negative one, which no user of this system has.
fn id(value: &[u8]) -> Parsed<u64> {
    match value.strip_prefix(b"-") {
        Some(value) => decimal(value).map(|_| u64::MAX),
        None => decimal(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &[u8]) -> Parsed<Records> {
        Records::parse(body)
    }

    /// Returns the records, each after its length.
    fn records(texts: &[&str]) -> Vec<u8> {
        let record = |text: &&str| {
            let lens = text.len() + 3..text.len() + 8;
            let mut records = lens.map(|len| (len, format!("{len} {text}\n")));
            records.find(|(len, record)| record.len() == *len).map(|(_, record)| record)
        };
        texts.iter().filter_map(record).collect::<String>().into_bytes()
    }

    #[test]
    fn records_that_a_restore_uses_are_read() {
        let body = records(&[
            "path=a/b",
            "linkpath=c",
            "size=7",
            "uid=8",
            "gid=-2",
            "mtime=1.000000002",
            "hdrcharset=BINARY",
            "SCHILY.xattr.user.a=\0=\n\n",
        ]);
        assert_eq!(
            parse(&body),
            Ok(Records {
                path: Some(b"a/b".to_vec()),
                link: Some(b"c".to_vec()),
                size: Some(7),
                uid: Some(8),
                gid: Some(u64::MAX),
                mtime_ns: Some(1_000_000_002),
                sparse: SparseRecords::default(),
            })
        );
        assert_eq!(parse(b""), Ok(Records::default()));
    }

    #[test]
    fn the_last_value_of_a_key_counts() {
        let body = records(&["path=a", "path=b", "uid=1", "uid="]);
        let records = parse(&body).expect("valid");
        assert_eq!((records.path, records.uid), (Some(b"b".to_vec()), None));
    }

    #[test]
    fn malformed_records_are_refused() {
        assert!(parse(b"9 path=a\n").is_ok());
        for body in [
            &b"path=a\n"[..],
            b"9 path=a",
            b"8 path=a\n",
            b"11 path=a\n",
            b"9 path=a\0",
            b" 9 path=a\n",
            b"+9 path=a\n",
            b"9\tpath=a\n",
            b"9 path=a\n\0\0",
            b"9 patha\n\n",
            b"5 =a\n",
            b"7 a\0=a\n",
            b"0 path=a\n",
            b"1 path=a\n",
            b"2 path=a\n",
            b"3 path=a\n",
            b"99999999999999999999 a=b\n",
            b"18446744073709551615 a=b\n",
        ] {
            assert!(parse(body).is_err(), "{:?}", String::from_utf8_lossy(body));
        }
        for text in ["path=a\0b", "path=", "size=", "size=-1", "size=x", "uid=x", "mtime=x"] {
            assert!(parse(&records(&[text])).is_err(), "{text:?}");
        }
        for text in ["name=", "major=", "map=1", "map=1,", "map=1,2,", "numbytes=1", "other=1"] {
            assert!(parse(&records(&[&format!("GNU.sparse.{text}")])).is_err(), "{text}");
        }
    }

    #[test]
    fn a_global_header_gives_default_owners_and_times_only() {
        let mut global = Records::default();
        for (text, is_fine) in [
            ("comment=", true),
            ("uid=1", true),
            ("mtime=2", true),
            ("path=a", false),
            ("linkpath=a", false),
            ("size=1", false),
            ("GNU.sparse.major=1", false),
        ] {
            let records = parse(&records(&[text])).expect("well-formed");
            assert_eq!(global.merge_global(records).is_ok(), is_fine, "{text}");
        }
        assert_eq!((global.uid, global.mtime_ns), (Some(1), Some(2_000_000_000)));
    }
}
