//! Ids of messages, claims and clients. All are small and `Copy`.
//!
//! 1. An id's text parses back to the same id.
//! 2. Text that is no id names nothing: [`MessageId::lossy`] and [`ClaimId::lossy`] turn it into the
//!    nil id, which is never assigned, so a malformed id is like the id of a missing item.
//! 3. In self-describing formats such as JSON an id is its text; in others it is its 16 bytes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};
use uuid::Uuid;

mod text;

pub(super) use text::{NOT_HEX, parse_hex};

/// Names one message of one queue permanently: a store, or the stores of one
/// [`PooledDriver`](crate::PooledDriver), never assign an id twice.
///
/// The text of an id is 32 lower-case hexadecimal digits. The ids of one queue are in the order of
/// the posts. Another store counts on its own, so its ids may be equal to these: keep the ids of
/// different stores apart, or a delete meant for one store reaches a message of another.
///
/// ```
/// use zaqar_sled::MessageId;
///
/// let text = "00000000000000070000000000000001";
/// let id: MessageId = text.parse()?;
/// assert_eq!(id.to_string(), text);
/// assert!("7-1".parse::<MessageId>().unwrap_err().is_invalid());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    pub(crate) queue: u64,
    pub(crate) sequence: u64,
}

impl MessageId {
    pub(crate) const fn new(queue: u64, sequence: u64) -> Self {
        Self { queue, sequence }
    }

    /// The message id with these 16 bytes.
    ///
    /// ```
    /// use zaqar_sled::MessageId;
    ///
    /// let id: MessageId = "00000000000000070000000000000001".parse()?;
    /// assert_eq!(MessageId::from_bytes(id.to_bytes()), id);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        let (queue, sequence) = Uuid::from_bytes(bytes).as_u64_pair();
        Self::new(queue, sequence)
    }

    /// The 16 bytes of the id, in the order of its text: the ids of one queue sort as their bytes.
    ///
    /// ```
    /// use zaqar_sled::MessageId;
    ///
    /// let id: MessageId = "00000000000000070000000000000001".parse()?;
    /// assert_eq!(id.to_bytes(), [0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1]);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub const fn to_bytes(self) -> [u8; 16] {
        Uuid::from_u64_pair(self.queue, self.sequence).into_bytes()
    }

    /// The id with this text. Text that is not an id gives the nil id, which names nothing, so that
    /// a malformed id is a missing one (contract 2).
    ///
    /// A call with the nil id treats it as any missing message. The errors then show no id, because
    /// the text is lost.
    ///
    /// ```
    /// let id = zaqar_sled::MessageId::lossy("no id");
    /// assert_eq!(id.to_string(), "0".repeat(32));
    /// ```
    pub fn lossy(text: &str) -> Self {
        text.parse().unwrap_or(Self::new(0, 0))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, self.queue, self.sequence)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({self})")
    }
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            (self.queue, self.sequence).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(D::Error::custom)
        } else {
            let (queue, sequence) = Deserialize::deserialize(deserializer)?;
            Ok(Self::new(queue, sequence))
        }
    }
}

/// Names one claim: a UUID, shown with hyphens.
///
/// ```
/// use zaqar_sled::ClaimId;
///
/// let text = "51db7067-821f-4a7e-b3b5-94a9dd6b45b3";
/// let id: ClaimId = text.parse()?;
/// assert_eq!(id.to_string(), text);
/// assert_eq!(ClaimId::from_bytes(*id.as_bytes()), id);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ClaimId(Uuid);

impl ClaimId {
    /// The claim id with these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// A version 4 UUID of the random bytes given; never nil.
    pub(crate) const fn from_random_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// The 16 bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id with this text. Text that is not a UUID gives the nil id, which names nothing
    /// (contract 2).
    ///
    /// ```
    /// let id = zaqar_sled::ClaimId::lossy("no id");
    /// assert_eq!(id.to_string(), "00000000-0000-0000-0000-000000000000");
    /// ```
    pub fn lossy(text: &str) -> Self {
        text.parse().unwrap_or(Self(Uuid::nil()))
    }

    pub(crate) const fn is_nil(&self) -> bool {
        self.0.is_nil()
    }
}

impl fmt::Display for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClaimId({self})")
    }
}

/// Names one subscription: a version 8 UUID that begins with the number of the subscription.
/// Numbers are assigned in the order of creation, so the ids of one queue's subscriptions are in
/// the order of creation.
///
/// ```
/// use zaqar_sled::SubscriptionId;
///
/// let text = "00000100-0000-8000-9a94-3f1c5e0d7b62";
/// let id: SubscriptionId = text.parse()?;
/// assert_eq!(id.to_string(), text);
/// assert_eq!(SubscriptionId::from_bytes(*id.as_bytes()), id);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct SubscriptionId(Uuid);

impl SubscriptionId {
    /// Behind every id there is.
    pub(crate) const MAX: Self = Self(Uuid::max());

    /// The subscription id with these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The id of the subscription with that creation number; the remaining bits come from `random`.
    pub(crate) const fn numbered(number: u64, random: u64) -> Self {
        // 48 bits of the number, 4 of the version, 12 of the number; 2 of the variant, 4 of the number, 58 random ones.
        let (number, random) = (number as u128, random as u128);
        let high = ((number >> 16) << 80) | (((number >> 4) & 0xfff) << 64);
        let low = ((number & 0xf) << 58) | (random & ((1 << 58) - 1));
        Self(uuid::Builder::from_custom_bytes((high | low).to_be_bytes()).into_uuid())
    }

    /// The creation number.
    pub(crate) fn number(self) -> u64 {
        let (high, low) = self.0.as_u64_pair();
        ((high >> 16) << 16) | ((high & 0xfff) << 4) | ((low >> 58) & 0xf)
    }

    /// The 16 bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id with this text. Text that is not a UUID gives the nil id, which names nothing
    /// (contract 2).
    ///
    /// ```
    /// let id = zaqar_sled::SubscriptionId::lossy("no id");
    /// assert_eq!(id.to_string(), "00000000-0000-0000-0000-000000000000");
    /// ```
    pub fn lossy(text: &str) -> Self {
        text.parse().unwrap_or(Self(Uuid::nil()))
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubscriptionId({self})")
    }
}

/// Names a client, so that a listing can leave out the client's own messages (contract 6.2).
///
/// ```
/// use zaqar_sled::ClientId;
///
/// let me: ClientId = "3381af92-2b9e-11e3-b191-71861300734c".parse()?;
/// assert_ne!(me, ClientId::random());
/// assert_eq!(ClientId::from_bytes(*me.as_bytes()), me);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ClientId(Uuid);

impl ClientId {
    /// A new client id: a random version 4 UUID.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The client id with these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientId({self})")
    }
}

pub(super) fn write_hex(f: &mut fmt::Formatter<'_>, queue: u64, sequence: u64) -> fmt::Result {
    write!(f, "{queue:016x}{sequence:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::Result;

    #[test]
    fn message_ids_round_trip_through_text() -> Result<()> {
        for id in [MessageId::new(0, 1), MessageId::new(7, 1 << 40), MessageId::new(u64::MAX, u64::MAX)] {
            assert_eq!(id.to_string().len(), 32);
            assert_eq!(id.to_string().parse::<MessageId>()?, id);
            assert_eq!(MessageId::lossy(&id.to_string()), id);
        }
        assert_eq!(MessageId::new(1, 0xab).to_string(), "000000000000000100000000000000ab");
        Ok(())
    }

    #[test]
    fn text_that_is_no_message_id_is_refused_or_names_nothing() {
        let long = "0".repeat(33);
        for text in [
            "",
            "1",
            "+0000000000000010000000000000001",
            "0000000000000001+000000000000001",
            "000000000000000100000000000000AB",
            "00000000-0000-0000-0000-000000000001",
            "ööööööööööööoooo",
            &long,
        ] {
            assert!(text.parse::<MessageId>().unwrap_err().is_invalid());
            assert_eq!(MessageId::lossy(text), MessageId::new(0, 0), "{text}");
        }
    }

    #[test]
    fn message_ids_order_by_queue_then_post() {
        assert!(MessageId::new(1, 9) < MessageId::new(2, 0));
        assert!(MessageId::new(1, 1) < MessageId::new(1, 2));
    }

    #[test]
    fn claim_ids_round_trip_and_are_lossy() -> Result<()> {
        let id = ClaimId::from_random_bytes([0; 16]);
        assert!(!id.is_nil());
        assert_eq!(id.to_string().parse::<ClaimId>()?, id);
        assert_eq!(ClaimId::from_bytes(*id.as_bytes()), id);
        assert!(ClaimId::lossy("none").is_nil());
        assert!("none".parse::<ClaimId>().unwrap_err().is_invalid());
        assert!("none".parse::<ClientId>().unwrap_err().is_invalid());
        Ok(())
    }

    #[test]
    fn subscription_ids_order_by_their_number_and_give_it_back() {
        let numbers = [0, 1, 15, 16, 0xffff, 0x1_0000, (1 << 40) + 1, (1 << 40) + 2, (7 << 40) + 3, u64::MAX];
        let ids = numbers.map(|number| SubscriptionId::numbered(number, u64::MAX - number));
        assert!(ids.is_sorted_by(|a, b| a < b && a.to_string() < b.to_string()));
        assert_eq!(ids.map(SubscriptionId::number), numbers);
        assert!(ids.iter().all(|id| id.0.get_version_num() == 8 && *id < SubscriptionId::MAX));
        assert_eq!(SubscriptionId::lossy("?").number(), 0);
    }

    #[test]
    fn ids_are_text_in_json_and_bytes_in_binary() {
        let id = MessageId::new(1, 2);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<MessageId>(&json).unwrap(), id);
        assert!(serde_json::from_str::<MessageId>("\"x\"").is_err());
        let bytes = bincode::serialize(&id).unwrap();
        assert_eq!(bytes.len(), 16);
        assert_eq!(bincode::deserialize::<MessageId>(&bytes).unwrap(), id);

        let id = ClientId::random();
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<ClientId>(&json).unwrap(), id);
    }
}
