// Package cms reads and writes signed messages: ContentInfo with SignedData of
// RFC 5652, as НУЦ РК's software, openssl and everybody else make them.
//
// [Decode] takes what people upload (DER, PEM, base64) to bytes; [Parse] takes
// bytes to a [SignedData], refusing whatever is not well-formed; [Sign] makes
// one, detached or attached, with CAdES-BES attributes. What is parsed is not
// judged here: whether a signature matches, and whose it is, is said by
// package domain/signature.
//
// Everything read comes from outside, so all is bounded: bytes, depth,
// signers, certificates, attributes. BER with indefinite lengths is transcoded
// to DER first ([ToDER]), so that there is one strict parser and not two.
package cms
