// Nothing but the headers, for the target that compiles them.
