//! The line to the centre: what to send next, and the two transports that carry it unchanged.

pub mod window;
