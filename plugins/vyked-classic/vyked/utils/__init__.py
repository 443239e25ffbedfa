"""`vyked.utils`: what people used of it."""
