//! SSH. The only folder that opens sockets.
