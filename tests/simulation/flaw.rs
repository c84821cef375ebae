//! Drivers that are broken on purpose: the proof that the simulator sees what it is there for.

/// What is wrong with the driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flaw {
    /// Nothing.
    None,
    /// Words go out before their records are durable.
    SpeaksFirst,
    /// Words go on when the lease may be over.
    IgnoresGate,
    /// A lease is taken and the fence is not raised.
    LeavesFence,
    /// What a predecessor left unheard is not said again.
    ForgetsTail,
    /// Stanzas are acknowledged when they are read.
    AcknowledgesEarly,
    /// Entrances are stored as handled with their records, though nobody may ever hear the answer.
    StoresEarly,
    /// The relay is not told what was handled before.
    ForgetsNumbers,
    /// What an earlier run of the relay had numbered counts for the next.
    KeepsNumbers,
    /// A takeover tells everybody that everybody left.
    SaysGoodbye,
}
