//! SSH. The only folder that opens sockets.

pub mod known_hosts;
