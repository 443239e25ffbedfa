from vyked_host import Service


class Misspelt(Service, name="misspelt", version="one"):
    pass
