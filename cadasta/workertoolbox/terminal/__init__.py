"""Tasks on a terminal: tables, trees and lines of text."""
