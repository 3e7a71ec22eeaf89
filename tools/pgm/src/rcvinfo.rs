// SPDX-License-Identifier: GPL-2.0

//! PGM_RCVINFO: which session a message is of. The tool and tools/libpgm share this file.

const IPPROTO_PGM: i32 = 113;
const PGM_RCVINFO: i32 = 30;

/// struct pgm_rcvinfo
#[derive(Debug, PartialEq, Eq)]
#[allow(dead_code)] // neither reads all of it
pub struct RcvInfo {
    /// The session: six bytes of GSI, two of data-source port.
    pub tsi: [u8; 8],
    /// Sequence number of the first packet of the message.
    pub sqn: u32,
    /// `PGM_RCV_*`
    pub flags: u32,
}

/// The struct pgm_rcvinfo among control messages.
pub fn rcvinfo(mut control: &[u8]) -> Option<RcvInfo> {
    // struct cmsghdr: size_t length (with this header), int level, int type; each padded to size_t.
    const WORD: usize = size_of::<usize>();
    const HEADER: usize = WORD + 8;
    loop {
        let (len, rest) = control.split_first_chunk::<WORD>()?;
        let len = usize::from_ne_bytes(*len);
        let (level, rest) = rest.split_first_chunk::<4>()?;
        let (kind, rest) = rest.split_first_chunk::<4>()?;
        let data = rest.get(..len.checked_sub(HEADER)?)?;
        if (i32::from_ne_bytes(*level), i32::from_ne_bytes(*kind)) == (IPPROTO_PGM, PGM_RCVINFO) {
            // tsi (8), sqn (4), flags (4)
            let tsi = data.get(..8)?.try_into().ok()?;
            let sqn = u32::from_ne_bytes(data.get(8..12)?.try_into().ok()?);
            let flags = u32::from_ne_bytes(data.get(12..16)?.try_into().ok()?);
            return Some(RcvInfo { tsi, sqn, flags });
        }
        control = control.get(len.next_multiple_of(WORD)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control_message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = (size_of::<usize>() + 8 + data.len()).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(size_of::<usize>()), 0);
        bytes
    }

    #[test]
    fn it_is_found_among_control_messages() {
        let mut info = vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9];
        info.extend(1u32.to_ne_bytes());
        let mut control = control_message(libc::IPPROTO_IP, libc::IP_TTL, &[1, 0, 0, 0]);
        assert_eq!(rcvinfo(&control), None);
        control.extend(control_message(IPPROTO_PGM, PGM_RCVINFO, &info));
        assert_eq!(
            rcvinfo(&control),
            Some(RcvInfo {
                tsi: [1, 2, 3, 4, 5, 6, 7, 8],
                sqn: 0x0909_0909,
                flags: 1,
            })
        );
        for len in 0..control.len() {
            assert_eq!(rcvinfo(&control[..len]), None, "{len}");
        }
        assert_eq!(
            rcvinfo(&[0; 64]),
            None,
            "a length of 0 must not loop for ever"
        );
    }
}
