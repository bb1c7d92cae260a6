"""The program tests its own pictures: experiments that ask whether a map is true, not whether it convinces."""
