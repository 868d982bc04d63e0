//! The binary as a process, over sockets: arguments, exit codes, signals, logs, and what it never prints.
