//! Playbooks: strict YAML to checked steps. Pure: no network, no clock.
