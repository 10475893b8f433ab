review = None
