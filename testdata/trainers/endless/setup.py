from setuptools import setup

setup(
    name="trainer",
    version="0.1",
    description="Never ends by itself",
    packages=["trainer"],
    python_requires=">=3.7",
)
