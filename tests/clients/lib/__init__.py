"""What the client tests share: brokers, waiting, raw protocol, records, drivers, results."""
