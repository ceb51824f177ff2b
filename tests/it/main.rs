//! gsctl from outside: the scripts on real processes, the program on real sshds.

mod scripts;
