"""What can go wrong, as sentences for the person at the terminal."""


class Trouble(Exception):
    """The benchmark cannot go on; the text says why and what was expected."""


class WrongAnswer(Trouble):
    """A server answered, but not what the scenario asks for."""
