"""What a reviewer would say each time, said by tests: the rules of the house, each shown to catch a planted sample."""
