from vapimedia.media.live import LivePath

class ReorderPath(LivePath):
    """A live path whose provider's messages may come out of order or twice, and are numbered (``Envelope(number=)``).

    Up to three messages wait for one that is missing, until a fourth comes or silence would have to stand in. What has
    no number goes on as it comes.
    """
