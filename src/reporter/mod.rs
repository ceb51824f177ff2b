//! Words, tables and files made from events. Nothing else in the program prints.
