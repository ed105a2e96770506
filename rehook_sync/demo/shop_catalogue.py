"""Customers and products of the sample shop. All mail addresses use reserved example domains."""

from typing import NamedTuple

__all__ = [
    "BROWSERS",
    "CAMPAIGN_CODES",
    "CITIES",
    "COMPANIES",
    "FIRST_NAMES",
    "LAST_NAMES",
    "MAIL_DOMAINS",
    "PLANS",
    "PRODUCTS",
    "REVIEWS",
    "Product",
]


class Product(NamedTuple):
    """One product. Units:  price: euros."""

    product_id: str
    name: str
    category: str
    price: float


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _words(
    "Ada Aisha Alejandro Amara Ana Anders Anneke Arjun Astrid Beatriz Benjamin Björn Camille Carlos Chiara Chloé Daniel Daria David "
    "Elena Elif Emil Emma Esther Fatima Felix Fiona Frida Gabriel Giulia Grace Hana Hannah Hugo Ines Isaac Ivan Jakub Jana Jasper "
    "Joana Jonas José Julia Kaja Karim Katarina Kofi Lars Lea Leïla Liam Linnea Louis Lucía Łukasz Maja Malik Marco Maria Markus Mateo "
    "Maya Mei Mia Milan Mina Nadia Naomi Nico Nina Noah Nora Olga Oliver Omar Oscar Paula Pavel Petra Priya Rafael Rania Robin Rosa "
    "Ruth Samir Sara Sebastian Selma Simon Sofia Stefan Tariq Theo Tomás Valentina Vera Viktor Wanjiru Yara Yusuf Zoë"
)
LAST_NAMES = _words(
    "Adeyemi Almeida Andersson Bauer Becker Bianchi Björk Bernard Castillo Chen Conti Costa Dąbrowski Dahl Diallo Dubois Eriksen Evans "
    "Fernández Ferrari Fischer Fontaine García Girard Greco Haddad Hansen Hoffmann Horvat Hughes Ito Ivanova Jansen Jensen Kaya Keller "
    "Khan Kim Kowalski Kovács Lange Laurent Lindqvist López Lund Marino Martens Mbeki Mendes Meyer Moreau Müller Murphy Nakamura "
    "Navarro Novák Nowak O'Brien Okafor Olsen Ortega Papadakis Patel Petrov Pereira Popescu Quinn Ramos Ricci Rossi Roux Sánchez "
    "Santos Schmidt Schneider Shah Silva Singh Smit Sørensen Suzuki Tanaka Torres Vargas Virtanen Vogel Wagner Walsh Weber Wójcik "
    "Yilmaz Zhang Zimmermann"
)
MAIL_DOMAINS = ("example.com", "example.org", "example.net")
COMPANIES = (
    ("Initech", 234),
    ("Globex", 1250),
    ("Hooli", 18400),
    ("Umbrella Bakery", 12),
    ("Nordlicht GmbH", 48),
    ("Café Lumière", 9),
    ("Pied Piper", 31),
    ("Blue Harbour Logistics", 670),
    ("Atelier Ribeiro", 5),
    ("Vandelay Imports", 86),
    ("Stark & Daughters", 140),
    ("Kestrel Analytics", 27),
    ("Monsoon Textiles", 410),
    ("Fjord Outdoor AS", 95),
)
PLANS = ("free", "free", "free", "starter", "starter", "pro", "team")
CITIES = ("Lisboa", "Berlin", "Kraków", "Lyon", "Utrecht", "Oslo", "Bologna", "Sevilla", "Cork", "Praha")
CAMPAIGN_CODES = ("WELCOME10", "AUTUMN15", "PODCAST20")
BROWSERS = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
)
PRODUCTS = (
    Product("p-101", "Pour-over kettle", "Kitchen", 64.90),
    Product("p-102", "Ceramic mug, set of 2", "Kitchen", 24.50),
    Product("p-103", "Hand coffee grinder", "Kitchen", 79.00),
    Product("p-104", "Olive wood board", "Kitchen", 38.00),
    Product("p-201", "Linen bed set", "Home", 149.00),
    Product("p-202", "Wool blanket", "Home", 119.00),
    Product("p-203", "Reading lamp", "Home", 88.50),
    Product("p-204", "Beeswax candle", "Home", 14.20),
    Product("p-301", "Trail backpack 22 l", "Outdoor", 109.95),
    Product("p-302", "Merino beanie", "Outdoor", 29.90),
    Product("p-303", "Steel bottle 0.7 l", "Outdoor", 27.00),
    Product("p-304", "Rain jacket", "Outdoor", 189.00),
    Product("p-401", "Fountain pen", "Desk", 46.00),
    Product("p-402", "Dotted notebook", "Desk", 18.90),
    Product("p-403", "Walnut pen tray", "Desk", 33.40),
    Product("p-404", "Desk mat, felt", "Desk", 41.00),
)
REVIEWS = (
    (5, "Exactly what I hoped for"),
    (5, "Bought a second one"),
    (4, "Lovely, a little smaller than it looks"),
    (4, "Très bien, livraison rapide"),
    (3, "Fine — but the box was damaged"),
    (2, "Not my colour 🙁"),
)
