// Package papercopy makes a copy for paper of an electronic document, as a PDF
// (R-D10): the document's own pages, each with the mark «Копия электронного
// документа», and a sheet of details with the parties, every signature, every
// file's SHA-256 and a QR code that leads to the page where the copy can be
// checked.
//
// A copy on paper proves nothing by itself: the original is the electronic
// document. So the copy says of each file what part of it is printed and what
// is not, and why; nothing is left out silently.
//
// What is printed of a file:
//
//   - PDF: each page as it is displayed, turned upright, with its annotations
//     and filled form fields, made smaller where needed so that the mark stands
//     beside the page and never on it. The sheet is A4, or as large as the
//     page. Only what a page draws is taken over: no scripts, links, attached
//     files or metadata.
//   - JPEG and PNG: one sheet, upright as the camera says (EXIF).
//   - plain text and XML: as text, in a monospaced font, up to [MaxTextPages].
//   - anything else, and what is damaged, locked by a password or over a
//     bound: not shown; the sheet of details says why and gives the hash.
//
// A PDF is not repaired: a font or picture in it that viewers cannot show is
// taken over as it is, and looks on the copy as it does on the screen.
//
// Content that is not of the stated hash or size is an error, not a copy.
//
// [Make] is pure: no clock, no randomness, no network, no files. The same input
// gives the same bytes. PDFs are read with pdfcpu and laid out with fpdf; the
// result is written by this package, since neither library writes imported
// pages in a fixed order.
package papercopy
