"""`vyked.decorators`, where release 2.1.91 kept them."""
