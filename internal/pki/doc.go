// Package pki checks certificates: the signatures on them, and the path from
// one to a configured root.
//
// It does what crypto/x509's Verify does, apart from what only web servers
// need, and for one reason: Verify has a fixed list of algorithms, and the
// national ones are not in it. Here algorithms are data. [Algorithms] maps
// OIDs to small verifiers, [Standard] gives those of the standard library,
// and a package of another family adds its own with [Algorithms.With], for
// certificates and for CMS signatures alike.
//
// Nothing here turns "cannot tell" into yes or no: an algorithm that is not
// known, an extension that is not understood, an issuer that is not at hand
// are said as such ([ErrUnsupported], [ExtensionUnknown], [ChainIncomplete]),
// and package domain/signature makes a verdict of it.
//
// The package reads no clock and no network: the moment and every certificate
// are handed in.
package pki
