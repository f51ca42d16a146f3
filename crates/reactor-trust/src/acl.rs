//! POSIX access control lists, as the kernel keeps them in the extended attribute `system.posix_acl_access`.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;

const NAME: &str = "system.posix_acl_access";

/// Version of the layout: a 32-bit number, then entries of tag (16 bits), permissions (16 bits) and id (32 bits), all little-endian.
const VERSION: u32 = 2;

/// Largest list that is read. Common file systems have room for a few hundred entries.
const MAX_BYTES: usize = 64 << 10;

const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;

/// May write.
const WRITE: u16 = 2;

/// A list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Acl {
    entries: Vec<(u16, u16, u32)>,
}

/// Reads the list of a file; `None` if it has none.
pub(crate) fn read(fd: BorrowedFd<'_>) -> Result<Option<Acl>, Errno> {
    let mut bytes = vec![0_u8; MAX_BYTES];
    let len = match rustix::fs::fgetxattr(fd, NAME, bytes.as_mut_slice()) {
        Ok(len) => len,
        // No list, or a file system without lists.
        Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
        Err(error) => return Err(error),
    };
    parse(&bytes[..len]).map(Some).ok_or(Errno::INVAL)
}

/// Reads the kernel's form of a list. Never panics, whatever the bytes.
pub(crate) fn parse(bytes: &[u8]) -> Option<Acl> {
    let (version, rest) = bytes.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*version) != VERSION || rest.len() % 8 != 0 {
        return None;
    }
    let entries = rest.chunks_exact(8).map(|entry| {
        let [t0, t1, p0, p1, id @ ..] = <[u8; 8]>::try_from(entry).unwrap_or_default();
        (u16::from_le_bytes([t0, t1]), u16::from_le_bytes([p0, p1]), u32::from_le_bytes(id))
    });
    Some(Acl { entries: entries.collect() })
}

impl Acl {
    /// What the mask leaves of a permission.
    fn writes(&self, permission: u16) -> bool {
        let mask = self.entries.iter().find(|(tag, ..)| *tag == MASK).map_or(WRITE, |(_, mask, _)| *mask);
        permission & mask & WRITE != 0
    }

    /// Whether the group of the file may write.
    pub(crate) fn group_writes(&self) -> bool {
        self.entries.iter().any(|(tag, permission, _)| *tag == GROUP_OBJ && self.writes(*permission))
    }

    /// Whether a user or a group that is named may write: neither root, nor `uid`, nor root's group.
    pub(crate) fn others_write(&self, uid: u32) -> bool {
        self.entries.iter().any(|(tag, permission, id)| {
            let other = match *tag {
                USER => *id != 0 && *id != uid,
                GROUP => *id != 0,
                _ => false,
            };
            other && self.writes(*permission)
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The kernel's form of a list; entries are sorted by tag, as it demands.
    pub(crate) fn encode(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for (tag, permission, id) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(permission.to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn who_may_write() {
        let acl = |entries: &[(u16, u16, u32)]| parse(&encode(entries)).expect("it is one");
        let nobody = u32::MAX;
        assert!(acl(&[(USER, 6, 1000), (GROUP_OBJ, 4, nobody), (MASK, 6, nobody)]).others_write(0));
        assert!(!acl(&[(USER, 6, 1000), (GROUP_OBJ, 4, nobody), (MASK, 4, nobody)]).others_write(0), "the mask");
        assert!(!acl(&[(USER, 6, 1000), (GROUP_OBJ, 4, nobody), (MASK, 6, nobody)]).others_write(1000), "it is us");
        assert!(!acl(&[(USER, 6, 0), (GROUP, 6, 0), (MASK, 6, nobody)]).others_write(1000), "root");
        assert!(acl(&[(GROUP_OBJ, 4, nobody), (GROUP, 6, 4), (MASK, 7, nobody)]).others_write(0));
        assert!(acl(&[(GROUP_OBJ, 6, nobody), (MASK, 6, nobody)]).group_writes());
        assert!(!acl(&[(GROUP_OBJ, 4, nobody), (MASK, 6, nobody)]).group_writes());
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(acl) = parse(&bytes) {
                let _ = acl.others_write(0);
                prop_assert_eq!(encode(&acl.entries), bytes);
            }
        }
    }
}
