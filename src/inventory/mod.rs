//! Who the run is for: hosts files, host sets, selection. Pure: no network, no clock.
