-- Bytes that are not those of their digest are called corrupt; a host of an earlier version may still write the
-- former word, which means the same to all that read it: any fault keeps bytes from being given out.
UPDATE blobs SET fault = 'corrupt' WHERE fault = 'rotten';
