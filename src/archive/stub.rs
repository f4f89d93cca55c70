use crate::{entry::MemberKind, error::Result};
pub(crate) enum Step {
    More,
    Member(Box<TarMember>),
    End,
}
pub(crate) struct TarMember {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: MemberKind,
    pub(crate) size: u64,
    pub(crate) stored: u64,
    pub(crate) sparse: Option<Vec<(u64, u64)>>,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) mtime_ns: i64,
    pub(crate) target: Vec<u8>,
    pub(crate) header_len: u64,
}
#[derive(Default)]
pub(crate) struct Reader {
    zeros: u32,
    len: u64,
    left: usize,
    body: Vec<u8>,
    which: u8,
    l: Option<Vec<u8>>,
    k: Option<Vec<u8>>,
}
fn num(f: &[u8]) -> u64 {
    if f[0] & 0x80 != 0 {
        f[f.len() - 8..].iter().fold(0, |a, b| a << 8 | u64::from(*b))
    } else {
        f.iter().filter(|b| (b'0'..=b'7').contains(b)).fold(0, |a, b| a * 8 + u64::from(b - b'0'))
    }
}
fn text(f: &[u8]) -> Vec<u8> {
    f.iter().copied().take_while(|b| *b != 0).collect()
}
impl Reader {
    pub(crate) fn new() -> Self {
        Reader::default()
    }
    pub(crate) fn end(&self) -> Result<()> {
        Ok(())
    }
    pub(crate) fn block(&mut self, b: &[u8; 512]) -> Result<Step> {
        self.len += 512;
        if self.left > 0 {
            let n = self.left.min(512);
            self.body.extend(&b[..n]);
            self.left -= n;
            if self.left == 0 {
                let t = text(&self.body);
                self.body.clear();
                if self.which == b'L' { self.l = Some(t) } else { self.k = Some(t) }
            }
            return Ok(Step::More);
        }
        if b.iter().all(|x| *x == 0) {
            self.zeros += 1;
            return Ok(if self.zeros == 2 { Step::End } else { Step::More });
        }
        let size = num(&b[124..136]);
        match b[156] {
            t @ (b'L' | b'K') => {
                self.which = t;
                self.left = size as usize;
                return Ok(Step::More);
            }
            _ => {}
        }
        let kind = match b[156] {
            b'2' => MemberKind::Symlink,
            b'5' => MemberKind::Directory,
            b'1' => MemberKind::HardLink,
            b'0' | 0 => MemberKind::File,
            _ => return Err(crate::archive::read::corrupt("unknown kind")),
        };
        let mut path = self.l.take().unwrap_or_else(|| {
            let p = text(&b[345..500]);
            let n = text(&b[..100]);
            if &b[257..263] == b"ustar\0" && !p.is_empty() { [p, n].join(&b'/') } else { n }
        });
        while path.ends_with(b"/") {
            path.pop();
        }
        let target = self.k.take().unwrap_or_else(|| text(&b[157..257]));
        let header_len = std::mem::take(&mut self.len);
        Ok(Step::Member(Box::new(TarMember {
            path,
            kind,
            size,
            stored: size,
            sparse: None,
            mode: num(&b[100..108]) as u32,
            uid: num(&b[108..116]),
            gid: num(&b[116..124]),
            mtime_ns: num(&b[136..148]) as i64 * 1_000_000_000,
            target,
            header_len,
        })))
    }
}
