"""vyked_host"""
