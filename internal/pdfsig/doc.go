// Package pdfsig takes the signatures out of a PDF (ISO 32000-2, 12.8; ETSI EN
// 319 142-1) and says what each of them covers. It judges no signature: the CMS
// goes to package cms, the verdict is package signature's.
//
//	document, err := pdfsig.Parse(data)
//	for _, s := range document.Signatures { … s.Contents, s.Content(), s.Coverage … }
//	files, err := document.Attachments()     // files that are embedded in it
//
// A signature in a PDF is over two ranges of the file with the signature itself
// in the gap between them. That leaves room for games, and this package answers
// them from the raw bytes:
//
//   - The ranges must begin at 0 and leave exactly one gap, and the gap must be
//     the hexadecimal string of that very signature's Contents and nothing else.
//     So nothing can be wrapped into the gap, and no other range signed.
//   - A signature field with a value is a signature. One whose value lacks its
//     parts is a signature with an [Signature.Err], never passed over.
//   - No other object may reach over the gap: what is in it is not signed.
//   - Anybody can append to a PDF, and what is appended counts for a reader.
//     [Signature.Coverage] says what was: nothing ([Whole]), or further
//     signatures, their time stamps and evidence alone ([Extended]), or anything
//     else ([Partial]).
//
// For the last the appended bytes are read one after another to the end: each
// must belong to an object that the newer cross-reference sections name, to one
// of these sections, or be a comment. Then every object that is new or changed
// must have a place in a short list: the catalog's store of evidence (DSS),
// version and extensions, the form's list of fields, a page's list of
// annotations, a new signature field that shows nothing, an empty signature field
// that the signature already covered (with an appearance, if the field is small),
// the program and the date of the last change. An object that the covered part
// refers to, but which is not in it, may not be added: a reader would see it
// appear in what was signed. Whatever is not on the list makes [Partial], so the
// answer errs on that side: a visible stamp in a new field, or a comment, does.
//
// What was covered may itself be ambiguous, or be made so that readers show it
// in different ways. All of that is signed, and no program can tell what the
// signer saw.
//
// The reader is strict, and its own: libraries mend what is broken, each in its
// own way, and have no offsets. Encrypted documents, and documents whose
// cross-references do not fit, are [ErrUnsupported]. Memory is bounded by the
// input and by constants, time by a count of bytes read and unpacked.
package pdfsig
