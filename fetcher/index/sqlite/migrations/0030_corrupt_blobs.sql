-- Bytes that are not those of their digest are called corrupt.
UPDATE blobs SET fault = 'corrupt' WHERE fault = 'rotten';
