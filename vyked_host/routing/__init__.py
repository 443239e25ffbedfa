"""Pure routing decisions: who can take a call, who owns a key, when to try again, who gets an event. Time and chance are
passed in."""
