//! Kafka's primitive types, read and written (KIP-482 has the compact ones). Nothing that a reader is told by the network is
//! believed: lengths and counts are checked against what is there, before anything is allocated.

/// An answer that is not what Kafka's protocol says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

const SHORT: Malformed = Malformed("it ends too early");

type Read<T> = Result<T, Malformed>;

/// Reads an answer from its beginning.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn i8(&mut self) -> Read<i8> {
        self.array().map(i8::from_be_bytes)
    }

    pub(super) fn bool(&mut self) -> Read<bool> {
        self.i8().map(|byte| byte != 0)
    }

    pub(super) fn i16(&mut self) -> Read<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Read<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Read<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// An unsigned number of up to 32 bits, seven of them in a byte, lowest first.
    pub(super) fn varint(&mut self) -> Read<u32> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0xf {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("a number is longer than it may be"))
    }

    /// A length plus one; zero is null.
    fn length(&mut self) -> Read<Option<usize>> {
        let length = self.varint()?;
        length.checked_sub(1).map(|length| usize::try_from(length).map_err(|_| SHORT)).transpose()
    }

    /// Compact nullable bytes.
    pub(super) fn nullable_bytes(&mut self) -> Read<Option<Vec<u8>>> {
        self.length()?.map(|length| self.take(length).map(<[u8]>::to_vec)).transpose()
    }

    /// Compact bytes; null is taken for none.
    pub(super) fn bytes(&mut self) -> Read<Vec<u8>> {
        self.nullable_bytes().map(Option::unwrap_or_default)
    }

    /// A compact nullable string.
    pub(super) fn nullable_string(&mut self) -> Read<Option<String>> {
        self.nullable_bytes()?.map(text).transpose()
    }

    /// A compact string; null is taken for an empty one.
    pub(super) fn string(&mut self) -> Read<String> {
        self.nullable_string().map(Option::unwrap_or_default)
    }

    /// A compact array; null is taken for an empty one.
    pub(super) fn list<T>(&mut self, mut element: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let count = self.length()?.unwrap_or(0);
        self.elements(count, &mut element)
    }

    /// Elements. Each has one byte at least, so there cannot be more than bytes.
    fn elements<T>(&mut self, count: usize, element: &mut impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        if count > self.rest.len() {
            return Err(SHORT);
        }
        (0..count).map(|_| element(self)).collect()
    }

    /// Tagged fields, of which none is of interest.
    pub(super) fn tags(&mut self) -> Read<()> {
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = self.varint()?;
            self.take(usize::try_from(length).map_err(|_| SHORT)?)?;
        }
        Ok(())
    }

    /// A string of versions that are not flexible; null is taken for an empty one.
    pub(super) fn old_string(&mut self) -> Read<String> {
        let length = self.i16()?;
        text(self.take(usize::try_from(length).unwrap_or(0))?.to_vec())
    }

    /// Bytes of versions that are not flexible; null is taken for none.
    pub(super) fn old_bytes(&mut self) -> Read<Vec<u8>> {
        let length = self.i32()?;
        Ok(self.take(usize::try_from(length).unwrap_or(0))?.to_vec())
    }

    /// An array of versions that are not flexible; null is taken for an empty one.
    pub(super) fn old_list<T>(&mut self, mut element: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let count = usize::try_from(self.i32()?).unwrap_or(0);
        self.elements(count, &mut element)
    }
}

fn text(bytes: Vec<u8>) -> Read<String> {
    String::from_utf8(bytes).map_err(|_| Malformed("a text is not UTF-8"))
}

/// Writes a request. Lengths beyond what a field can say do not occur: requests are far smaller.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn i8(&mut self, value: i8) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    pub(super) fn i16(&mut self, value: i16) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub(super) fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            let [.., low] = value.to_be_bytes();
            self.bytes.push(low | 0x80);
            value >>= 7;
        }
        let [.., low] = value.to_be_bytes();
        self.bytes.push(low);
    }

    fn length(&mut self, length: usize) {
        self.varint(u32::try_from(length).unwrap_or(u32::MAX - 1) + 1);
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.length(value.len());
        self.bytes.extend(value);
    }

    pub(super) fn string(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    pub(super) fn nullable_string(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.string(value),
            None => self.varint(0),
        }
    }

    pub(super) fn list<T>(&mut self, elements: &[T], mut element: impl FnMut(&mut Self, &T)) {
        self.length(elements.len());
        for each in elements {
            element(self, each);
        }
    }

    /// No tagged fields.
    pub(super) fn tags(&mut self) {
        self.varint(0);
    }

    pub(super) fn old_string(&mut self, value: &str) {
        self.i16(i16::try_from(value.len()).unwrap_or(i16::MAX));
        self.bytes.extend(value.as_bytes());
    }

    pub(super) fn old_bytes(&mut self, value: &[u8]) {
        self.i32(i32::try_from(value.len()).unwrap_or(i32::MAX));
        self.bytes.extend(value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_and_lengths_that_cannot_be_are_refused_before_anything_is_allocated() {
        let huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(Reader::new(&huge).varint(), Ok(u32::MAX));
        assert_eq!(Reader::new(&huge).bytes(), Err(SHORT));
        assert_eq!(Reader::new(&huge).list(Reader::i8), Err(SHORT));
        assert_eq!(Reader::new(&[0x7f, 0xff, 0xff, 0xff]).old_bytes(), Err(SHORT));
        assert_eq!(Reader::new(&[0x7f, 0xff, 0xff, 0xff]).old_list(Reader::i8), Err(SHORT));
        assert!(Reader::new(&[0xff; 6]).varint().is_err());
        assert!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x1f]).varint().is_err());
        assert_eq!(Reader::new(&[0xff, 0xff]).old_string(), Ok(String::new()));
        assert_eq!(Reader::new(&[2, 0xff]).string(), Err(Malformed("a text is not UTF-8")));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number: u32, bytes: Vec<u8>, text: String, list: Vec<i16>, none: bool, flag: bool) {
            let nullable = (!none).then_some(text.as_str());
            let mut out = Writer::default();
            out.varint(number);
            out.bytes(&bytes);
            out.nullable_string(nullable);
            out.list(&list, |out, value| out.i16(*value));
            out.tags();
            out.bool(flag);
            out.old_string(&text);
            out.old_bytes(&bytes);
            let written = out.into_bytes();
            let mut reader = Reader::new(&written);
            prop_assert_eq!(reader.varint(), Ok(number));
            prop_assert_eq!(reader.bytes(), Ok(bytes.clone()));
            prop_assert_eq!(reader.nullable_string(), Ok(nullable.map(str::to_owned)));
            prop_assert_eq!(reader.list(Reader::i16), Ok(list));
            prop_assert_eq!(reader.tags(), Ok(()));
            prop_assert_eq!(reader.bool(), Ok(flag));
            prop_assert_eq!(reader.old_string(), Ok(text));
            prop_assert_eq!(reader.old_bytes(), Ok(bytes));
            prop_assert_eq!(reader.rest, &[] as &[u8]);
        }
    }
}
