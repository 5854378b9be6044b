//! Archives made byte by byte, for tests: also those that no tool would write.

/// An archive under construction.
#[derive(Default, Clone)]
pub(crate) struct Tar(pub(crate) Vec<u8>);

pub(crate) fn tar() -> Tar {
    Tar::default()
}

/// `LENGTH KEY=VALUE\n`
pub(crate) fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let body = key.len() + value.len() + 3;
    let mut length = body + 1;
    while length != body + length.to_string().len() {
        length = body + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

/// A ustar header, owner 0:0, mode 0644, time 0.
pub(crate) fn header(name: &[u8], flag: u8, size: usize) -> [u8; 512] {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name);
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    sign(block)
}

pub(crate) fn sign(mut block: [u8; 512]) -> [u8; 512] {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

impl Tar {
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Bytes, filled up to a whole block.
    pub(crate) fn data(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn entry(self, flag: u8, name: &str, content: &[u8]) -> Self {
        self.raw(&header(name.as_bytes(), flag, content.len())).data(content)
    }

    /// An entry whose header block is changed before it is summed.
    pub(crate) fn with(
        self,
        flag: u8,
        name: &str,
        content: &[u8],
        change: impl FnOnce(&mut [u8; 512]),
    ) -> Self {
        let mut block = header(name.as_bytes(), flag, content.len());
        change(&mut block);
        self.raw(&sign(block)).data(content)
    }

    pub(crate) fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(b'0', name, content)
    }

    pub(crate) fn dir(self, name: &str) -> Self {
        self.with(b'5', name, b"", |block| block[100..108].copy_from_slice(b"0000755\0"))
    }

    pub(crate) fn link(self, flag: u8, name: &str, target: &str) -> Self {
        self.with(flag, name, b"", |block| block[157..157 + target.len()].copy_from_slice(target.as_bytes()))
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.link(b'2', name, target)
    }

    pub(crate) fn hardlink(self, name: &str, target: &str) -> Self {
        self.link(b'1', name, target)
    }

    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let data: Vec<u8> = records.iter().flat_map(|(key, value)| record(key.as_bytes(), value)).collect();
        self.entry(b'x', "PaxHeaders.0/x", &data)
    }

    /// A GNU long name (`L`) or long link target (`K`).
    pub(crate) fn long(self, flag: u8, name: &str) -> Self {
        self.entry(flag, "././@LongLink", &[name.as_bytes(), b"\0"].concat())
    }

    pub(crate) fn end(self) -> Vec<u8> {
        self.raw(&[0; 1024]).0
    }
}
