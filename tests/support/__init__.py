"""Networks and vectors that several rooms' tests share."""
